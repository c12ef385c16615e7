"""How fast machines, customers and posts are answered, and how long an answer holds the loop.

`python -m tests.benchmarks.systems_latency`. Each system's application under uvicorn alone, with
Redis; generator, Redis and server share this machine. Constant arrivals over eight connections
(open loop, latency from the time a request was due), then the largest requests that each route
admits, one at a time. Models are those of the tests, of some seconds of training.
`longest_hold_ms` is the longest time in which the event loop of the server did not come to its next
task, its thread had a processor and its process computed. The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import tyro

from lib.access import add_key, new_key
from lib.maintenance.machine_kind import load_kind
from tests.benchmarks.fraud_latency import HOST, free_port, redis_server
from tests.benchmarks.latency.load import Load
from tests.benchmarks.latency.server_process import server_process
from tests.benchmarks.latency.system_target import System
from tests.benchmarks.moderation_latency import Sender
from tests.benchmarks.result import print_result
from tests.maintenance.small_fleet import week, write
from tests.serve.application import iso
from tests.serve.churn_app import published as published_churn
from tests.serve.large_requests import (
    LargeRequest,
    churn_requests,
    maintenance_requests,
    moderation_requests,
)
from tests.serve.maintenance_app import published as published_fleet
from tests.serve.moderation_app import published as published_posts
from tests.serve.ray_server import environment

SYSTEMS: tuple[System, ...] = ("maintenance", "churn", "moderation")
CONNECTIONS, SUBJECTS, TURNS = 8, 60, 3
HOURS, USES = 744, 50
_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000
_SCOPES = ("label", "score", "review", "read")
_LISTED = "doubtfulword"


@dataclass(frozen=True)
class Config:
    """Measure how fast machines, customers and posts are answered."""

    systems: tuple[System, ...] = SYSTEMS
    """Which."""
    rate: float = 50.0
    """Requests per second."""
    seconds: float = 20.0
    """Length of each measurement, seconds."""
    largest: bool = True
    """Whether to send the largest requests, too."""


class Server:
    """A system's application in a process of its own.

    Args:
        process: of `system_target`.
        system: which.
        port: where it listens.
        token: API key.
    """

    def __init__(
        self, process: subprocess.Popen[str], system: System, port: int, token: str
    ) -> None:
        self._process, self.system, self.port, self.token = process, system, port, token

    def take(self) -> tuple[float, float]:
        """The longest hold of its loop since the last time, ms, and its processor time, seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return float(answer["held_ms"]), float(answer["cpu_s"])

    def post(self, path: str, body: bytes, deadline_ms: int | None = None) -> httpx.Response:
        """An answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if deadline_ms is not None:
            headers["X-Deadline-Ms"] = str(deadline_ms)
        url = f"http://{HOST}:{self.port}/{self.system}{path}"
        return httpx.post(url, content=body, headers=headers, timeout=120)

    def head(self, path: str) -> str:
        """The head of a request, but for the length of its body."""
        return (
            f"POST /{self.system}{path} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
            "Content-Length: "
        )


@contextmanager
def served(system: System, folder: Path) -> Iterator[Server]:
    """A system's application, ready."""
    token, record = new_key([f"{system}:{scope}" for scope in _SCOPES], time.time_ns() // 1000)
    add_key(folder / "keys.json", record)
    port = free_port()
    with redis_server(folder) as store:
        options = {"system": system, "port": port, "store": store, "folder": folder}
        with server_process("system_target", options, environment(folder)) as process:
            report = httpx.get(f"http://{HOST}:{port}/{system}/readyz").json()
            if report["status"] != "ready":
                raise RuntimeError(f"not ready: {json.dumps(report)}")
            yield Server(process, system, port, token)


def publish(system: System, folder: Path) -> None:
    """A registry in a folder with a champion of a system."""
    if system == "maintenance":
        published_fleet(write(folder / "fleet"), folder)
    elif system == "churn":
        published_churn(folder)
    else:
        published_posts(folder)


def requests_of(server: Server) -> dict[str, Iterator[bytes]]:
    """Requests without end by kind, of subjects that are told to the server first."""
    if server.system == "maintenance":
        return _of_machines(server)
    if server.system == "churn":
        return _of_customers(server)
    return {mix: Sender(mix, server.token) for mix in ("text", "text_image")}


def _of_machines(server: Server) -> dict[str, Iterator[bytes]]:
    names, now = load_kind(None).sensor_names, time.time_ns() // 1000
    sensors = dict.fromkeys(names, 1.5)

    def readings(machine: int, times_us: Iterable[int]) -> bytes:
        rows = [{"event_time": iso(time_us), "sensors": sensors} for time_us in times_us]
        return json.dumps({"machine_id": f"m{machine}", "readings": rows}).encode()

    for machine in range(SUBJECTS):
        past = [now - hours * _HOUR_US for hours in range(1, HOURS)]
        server.post("/readings", readings(machine, past)).raise_for_status()
    return {
        "reading": _endless(
            server.head("/readings"), lambda k: readings(k % SUBJECTS, [time.time_ns() // 1000])
        ),
        "prediction": _endless(
            server.head("/predict"),
            lambda k: json.dumps({"machine_id": f"m{k % SUBJECTS}"}).encode(),
        ),
    }


def _of_customers(server: Server) -> dict[str, Iterator[bytes]]:
    now = time.time_ns() // 1000
    start, end = iso(now - 200 * _DAY_US), iso(now + 165 * _DAY_US)
    about = {"event_time": start, "contract_start": start, "renewal_at": end, "segment": "small"}
    rows = [
        {"customer_id": f"c{k}", **about, "seats": 10, "mrr_minor": 200_000}
        for k in range(SUBJECTS)
    ]
    uses = [_use(k, now - number * _DAY_US) for k in range(SUBJECTS) for number in range(1, USES)]
    server.post("/events", json.dumps({"customers": rows, "usage": uses}).encode())
    return {
        "event": _endless(
            server.head("/events"),
            lambda k: json.dumps({"usage": [_use(k % SUBJECTS, time.time_ns() // 1000)]}).encode(),
        ),
        "score": _endless(
            server.head("/score"),
            lambda k: json.dumps({"customer_id": f"c{k % SUBJECTS}"}).encode(),
        ),
    }


def _use(customer: int, time_us: int) -> dict[str, Any]:
    return {
        "customer_id": f"c{customer}", "event_time": iso(time_us), "user_id": "u1",
        "feature": "reports",
    }  # fmt: skip


def _endless(head: str, body_of: Any) -> Iterator[bytes]:
    for number in count():
        body = body_of(number)
        yield f"{head}{len(body)}\r\n\r\n".encode() + body


def measure(server: Server, requests: Iterator[bytes], config: Config) -> dict[str, float]:
    """Latency, processor time and holds under constant arrivals."""
    load = Load(HOST, server.port, requests)
    asyncio.run(load.open(config.rate / 2, 3.0, connections=CONNECTIONS))
    _, before = server.take()
    time.sleep(2.0)
    _, idle = server.take()  # of the probe itself, and of what goes on beside requests
    tally = asyncio.run(load.open(config.rate, config.seconds, connections=CONNECTIONS))
    held_ms, after = server.take()
    cpu_s = (after - idle) - (idle - before) / 2.0 * tally.seconds
    summary = tally.summary()
    cpu_ms = round(cpu_s * 1000.0 / summary["requests"], 2)
    return {**summary, "cpu_ms_per_request": cpu_ms, "longest_hold_ms": round(held_ms, 1)}


def measure_largest(server: Server, requests: Sequence[LargeRequest]) -> dict[str, Any]:
    """By request, the longest hold of the loop: the median of some turns, and the longest."""
    hold_by_request: dict[str, Any] = {}
    for request in requests:
        holds = []
        for turn in range(TURNS):
            body = request.body(turn)
            server.take()
            answer = server.post(request.path, body, request.deadline_ms)
            if answer.status_code not in request.statuses:
                raise RuntimeError(f"{request.name}: {answer.status_code} {answer.text[:300]}")
            holds.append(round(server.take()[0], 1))
        hold_by_request[request.name] = {"longest_hold_ms": median(holds), "worst_ms": max(holds)}
        print(
            f"{server.system} {request.name}: {json.dumps(hold_by_request[request.name])}",
            flush=True,
        )
    return hold_by_request


def largest_of(system: System) -> list[LargeRequest]:
    """The largest requests of a system."""
    now = time.time_ns() // 1000
    if system == "maintenance":
        requests = maintenance_requests(load_kind(None).sensor_names, now, week(now))
        # weeks are solved in a deployment of their own
        return [request for request in requests if request.path != "/schedules"]
    if system == "churn":
        return churn_requests(now, [f"c{k}" for k in range(SUBJECTS)])
    return moderation_requests(_LISTED)


def main(config: Config) -> None:
    """Prints a line per measurement and then everything as JSON."""
    began, load_at_start = time.perf_counter(), os.getloadavg()[0]
    results: dict[str, Any] = {}
    sent = 0
    for system in config.systems:
        results[system] = {}
        with tempfile.TemporaryDirectory(prefix="fw-", ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary)
            publish(system, folder)
            with served(system, folder) as server:
                for name, requests in requests_of(server).items():
                    figures = results[system][name] = measure(server, requests, config)
                    sent += int(figures["requests"])
                    print(f"{system} {name}: {json.dumps(figures)}", flush=True)
                if config.largest:
                    results[system]["largest"] = measure_largest(server, largest_of(system))
    print_result(
        rows_read=sent,
        seconds=time.perf_counter() - began,
        load_average={"at_start": load_at_start, "at_end": os.getloadavg()[0]},
        **results,
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(tyro.cli(Config, description=__doc__))
