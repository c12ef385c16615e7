"""How fast a payment is scored: on Ray Serve, composed and colocated, by uvicorn alone, by a peer.

`python -m tests.benchmarks.fraud_latency`. One Redis and the same simulated payments for each, the
same model for all but the peer (`latency/peer.py`); generator, Redis and server share this machine.
Constant arrivals (open loop, latency from the time a request was due) and connections that send as
soon as they may (closed, by `wrk` where it is installed). `cpu_ms_per_request` is the processor
time of a target's processes in the closed loop. The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import redis
import tyro

from lib.access import add_key, new_key
from lib.feature import compute
from lib.fraud.contracts import join_labels
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.policy import Costs
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.simulation import SimulationConfig, simulate
from lib.registry import Registry
from tests.benchmarks.latency.load import Load
from tests.benchmarks.latency.peer import TOKEN_VARIABLE
from tests.benchmarks.latency.processor_time import ProcessorTime, per_request
from tests.benchmarks.latency.server_process import server_process
from tests.benchmarks.latency.wrk import Wrk, is_installed
from tests.benchmarks.result import print_result
from tests.serve.ray_server import environment
from tests.serve.small_fraud_model import CREATED_AT, publish, train

KINDS = ("bare", "colocated", "composed", "peer")
RATES = (50, 100, 200)
CONNECTIONS = (1, 8, 32)
HOST = "127.0.0.1"
PAYMENTS_PER_CUSTOMER = 4
GAP_US = 5_000
REVIEWED, DECLINED = 0.005, 0.005
_SCORE = "fraud:score"
Results = dict[str, dict[str, dict[str, dict[str, float]]]]


@dataclass(frozen=True)
class Config:
    """Measure how fast payments are scored."""

    model: str = ""
    """Registry with a fraud champion, directory or URI; none trains one on simulated payments."""
    seconds: float = 10.0
    """Length of each measurement, seconds."""
    targets: tuple[str, ...] = KINDS
    """Which of bare, colocated, composed and peer."""
    users: int = 2_000
    """Simulated customers whose payments are sent."""
    keep: str = ""
    """Directory to keep the trained model in, and to take it from the next time."""


def train_model(registry: Path, folder: Path, sent: pa.Table) -> None:
    """A model of the design's size: 500 trees of depth 6 and a 256-128-64 network.

    Its thresholds stop as many of the payments that will be sent as a platform would: days of
    payments within minutes look stranger to it than they are.
    """
    trees, network = TreeSettings(early_stopping=500), NetworkSettings(epochs=3)
    ensemble = train(trees, network, users=600, days=40, seed=1, costs=Costs())
    scores = ensemble.score(feature_matrix(compute(FRAUD, sent), FRAUD.names))
    review, decline = np.quantile(scores, (1 - REVIEWED - DECLINED, 1 - DECLINED))
    policy = replace(ensemble.policy, review=float(review), decline=float(decline))
    version = publish(replace(ensemble, policy=policy), registry, folder)
    Registry(registry).set_alias("fraud", "champion", version, at=CREATED_AT, by="benchmark")


def payments(users: int) -> pa.Table:
    """Simulated payments in order of time, made to be sent within minutes.

    So that they do not all look like bursts and journeys, customers are new people after
    `PAYMENTS_PER_CUSTOMER` payments each, in the mean, and stay in one place.
    """
    simulated = simulate(SimulationConfig(users=users, days=10), seed=2)
    table = join_labels(simulated.transactions, simulated.labels.slice(0, 0)).table
    frame = table.to_pandas()
    homes = frame.groupby("user_id")[["latitude", "longitude"]].transform("first")
    generation = (np.arange(len(frame)) // (users * PAYMENTS_PER_CUSTOMER)).astype(str)
    start = int(frame["event_time"].iloc[0].value // 1000)
    frame = frame.assign(
        **homes,
        user_id=frame["user_id"] + "." + generation,
        event_time=pd.to_datetime(start + np.arange(len(frame)) * GAP_US, unit="us", utc=True),
        received_at=pd.NaT,
    )
    return pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)


def requests(sent: pa.Table, token: str, mark: str) -> Iterator[bytes]:
    """Requests without end; every one is a new payment, made now."""
    tails = _tails(sent)
    head = (
        "POST /fraud/score_transaction HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: "
    )
    number = 0
    while True:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        tail = tails[number % len(tails)]
        body = f'{{"transaction_id":"{mark}{number}","event_time":"{now}",{tail}'
        yield f"{head}{len(body.encode())}\r\n\r\n{body}".encode()
        number += 1


def _tails(sent: pa.Table) -> list[str]:
    """The JSON of payments behind their ids and times."""
    return [json.dumps(body)[1:] for body in _bodies(sent)]


def _bodies(sent: pa.Table) -> list[dict[str, object]]:
    """Payments as the API takes them, without id and time."""
    names = ("user_id", "merchant_id", "device_id", "currency", "payment_method")
    coordinates = ("latitude", "longitude")
    rows = sent.select([*names, *coordinates, "amount_minor"]).to_pylist()
    return [
        {
            **{name: row[name] for name in (*names, *coordinates)},
            "amount": f"{row['amount_minor'] // 100}.{row['amount_minor'] % 100:02d}",
        }
        for row in rows
    ]


class Measured(NamedTuple):
    """What was measured of one target.

    Attributes:
        opened: summaries by rate.
        closed: summaries by connections.
        cpu_ms: processor time of a request in the closed loop, by process.
    """

    opened: dict[str, dict[str, float]]
    closed: dict[str, dict[str, float]]
    cpu_ms: dict[str, float]


class Measurement:
    """Measures targets one after another.

    Args:
        sent: payments.
        token: API key.
        folder: for files of the generator.
        seconds: length of each measurement.
    """

    def __init__(self, sent: pa.Table, token: str, folder: Path, seconds: float) -> None:
        self._sent, self._token, self._seconds = sent, token, seconds
        self._bodies = folder / "bodies"
        self._bodies.write_text("\n".join(_tails(sent)))
        self.closed_by = "wrk" if is_installed() else "asyncio"

    def run(self, kind: str, port: int, pid: int) -> Measured:
        """Warms up, then measures every rate and every number of connections.

        Args:
            kind: of the target.
            port: where it listens.
            pid: of its first process.
        """
        load = Load(HOST, port, requests(self._sent, self._token, kind))
        opened, warm = asyncio.run(self._open(load))
        first = warm + sum(int(summary["requests"]) for summary in opened.values())
        closed, used = {}, ProcessorTime(pid)
        for connections in CONNECTIONS:
            if self.closed_by == "wrk":
                url = f"http://{HOST}:{port}/fraud/score_transaction"
                wrk = Wrk(url, self._bodies, self._token, f"{kind}w", first)
                summary = wrk.closed(connections, self._seconds)
            else:
                summary = asyncio.run(load.closed(connections, self._seconds)).summary()
            first += int(summary["requests"]) + connections
            closed[str(connections)] = summary
        answered = sum(int(summary["requests"]) for summary in closed.values())
        return Measured(opened, closed, per_request(used.spent(), answered))

    async def _open(self, load: Load) -> tuple[dict[str, dict[str, float]], int]:
        """Summaries by rate, and how many payments warmed the target up."""
        warm = await load.closed(8, min(5.0, self._seconds))
        opened = {str(rate): (await load.open(rate, self._seconds)).summary() for rate in RATES}
        return opened, int(warm.summary()["requests"])


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis of our own; yields its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://{HOST}:{port}/0"
    client = redis.Redis.from_url(url)
    try:
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        yield url
    finally:
        client.close()
        process.terminate()
        process.wait()


@contextmanager
def target(
    kind: str, port: int, store: str, registry: str, keys: Path, token: str
) -> Iterator[tuple[Path, int]]:
    """A server of one kind; yields its folder and the id of its first process."""
    folder = Path(tempfile.mkdtemp(prefix="fw-"))
    options = {"kind": kind, "port": port, "store": store, "registry": registry, "keys": keys}
    variables = {"FOREWARN_REQUESTS_PER_REPLICA": "0", TOKEN_VARIABLE: token}
    try:
        with server_process(
            "targets", {**options, "folder": folder}, {**environment(folder), **variables}
        ) as process:
            yield folder, process.pid
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_model(port: int) -> None:
    """Raises unless the model answers: a fallback would be measured otherwise."""
    report = httpx.get(f"http://{HOST}:{port}/fraud/readyz").json()
    if report["status"] != "ready":
        raise RuntimeError(f"not ready: {json.dumps(report)}")


def shares(log: Path) -> dict[str, float]:
    """Share of the payments by decision and what decided; all but `APPROVE` pay for reasons."""
    lines = (json.loads(line) for line in log.read_text().splitlines())
    counts = Counter(
        f"{entry['decision']} by {entry['by']}" for entry in lines if "decision" in entry
    )
    return {name: round(count / counts.total(), 4) for name, count in counts.most_common()}


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def main(config: Config) -> None:
    """Prints a line per measurement and then everything as JSON."""
    began = time.perf_counter()
    gc.freeze()
    results: Results = {"open_loop": {}, "closed_loop": {}}
    sent = payments(config.users)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        registry = config.model or _registry(Path(config.keep) if config.keep else folder, sent)
        token, record = new_key([_SCORE], time.time_ns() // 1000)
        add_key(folder / "keys.json", record)
        measurement = Measurement(sent, token, folder, config.seconds)
        count, decided = 0, dict[str, dict[str, float]]()
        cpu_ms = dict[str, dict[str, float]]()
        for kind in config.targets:
            with redis_server(folder) as store:
                port, keys = free_port(), folder / "keys.json"
                with target(kind, port, store, registry, keys, token) as (target_folder, pid):
                    require_model(port)
                    measured = measurement.run(kind, port, pid)
                    time.sleep(1.0)  # until the last lines are in the log
                    decided[kind] = shares(target_folder / "log.jsonl")
            cpu_ms[kind] = measured.cpu_ms
            print(f"decided {kind:10} {json.dumps(decided[kind])}", flush=True)
            print(f"cpu_ms {kind:11} {json.dumps(cpu_ms[kind])}", flush=True)
            for name, by_load in zip(results, (measured.opened, measured.closed), strict=True):
                for key, summary in by_load.items():
                    count += int(summary["requests"])
                    results[name].setdefault(key, {})[kind] = summary
                    print(f"{name} {key:>4} {kind:10} {json.dumps(summary)}", flush=True)
    print_result(
        rows_read=sent.num_rows,
        seconds=time.perf_counter() - began,
        requests_sent=count,
        decided=decided,
        closed_loop_by=measurement.closed_by,
        cpu_ms_per_request={kind: spent.pop("total") for kind, spent in cpu_ms.items()},
        cpu_ms_by_process=cpu_ms,
        **results,
    )


def _registry(folder: Path, sent: pa.Table) -> str:
    registry = folder / "registry"
    if not registry.exists():
        train_model(registry, folder, sent)
    return str(registry)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main(tyro.cli(Config, description=__doc__))
