"""The console before a long queue: `python -m tests.benchmarks.console`.

100,000 payments wait for people (`--queued`), in PostgreSQL where it is installed. Chromium
meets the queue's page with nothing kept (kilobytes over the wire, first paint), decides items by
key (milliseconds until the next one is painted, the key's event to the frame), axe-core looks at
all pages that the navigation leads to, light and dark, for serious barriers, and two browsers race
for 1,000 other items until none is left. Then a fraud service is asked at a constant rate,
in phases that alternate without and beside twenty people who click; its 99% quantile is compared,
latency from when a payment was due, with a 95% interval by seconds drawn anew. Service, console,
database, people and load share this machine. The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from sqlalchemy import create_engine, text

from lib.access import add_key, new_key
from lib.console.source import SystemSource
from lib.records import Records
from lib.records.review import ReviewItem
from tests.benchmarks.console_people import browsers
from tests.benchmarks.phases import Phases
from tests.benchmarks.result import print_result
from tests.benchmarks.strangers import Config as PaymentLoad
from tests.benchmarks.strangers import Phase, measure, ratio_interval
from tests.benchmarks.visits import HOST
from tests.records.review_factories import item
from tests.records.server import installed, new_database, running

RACED = "maintenance"
QUESTIONS = {"fraud": "fraud", RACED: "fault"}
SCOPES = tuple(f"{system}:{role}" for system in QUESTIONS for role in ("read", "review"))
_SECOND = 1_000_000
_BATCH = 2_000


@dataclass(frozen=True)
class Config(Phases):
    """Measure the console.

    The phases that take turns are payments alone, and payments beside people who click.
    """

    queued: int = 100_000
    """Items that wait."""
    raced: int = 1_000
    """Items that two browsers race for."""
    loads: int = 20
    """First loads of the page."""
    decisions: int = 200
    """Items decided one after the other."""
    people: int = 20
    """Who click while payments are scored; 0 leaves this out."""
    rate: float = 50.0
    """Payments a second meanwhile."""
    rounds: int = 6
    """Times that the phases follow each other."""


@dataclass(frozen=True)
class Databases:
    """Where the console's data are.

    Attributes:
        folder: of its keys and sessions.
        urls: of the records by system.
    """

    folder: Path
    urls: dict[str, str]

    @contextmanager
    def source(self, system: str) -> Iterator[SystemSource]:
        """A system, as the console reads it."""
        source = SystemSource.open(system, self.urls[system], str(self.folder / "registry"))
        with source.records:
            yield source

    def new_keys(self, names: Sequence[str]) -> list[str]:
        """A key of each person."""
        tokens = []
        for name in names:
            token, record = new_key(SCOPES, now_us(), reviewers=(name,))
            add_key(self.folder / "keys.json", record)
            tokens.append(token)
        return tokens


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@contextmanager
def new_databases() -> Iterator[Databases]:
    """Records of two systems, in PostgreSQL where it is installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fw-console-")))
        if installed():
            server = stack.enter_context(running())
            urls = {system: new_database(server) for system in QUESTIONS}
        else:
            urls = {system: f"sqlite:///{folder / system}.sqlite" for system in QUESTIONS}
        yield Databases(folder, urls)


def fill(databases: Databases, system: str, count: int) -> None:
    """Let items wait."""
    with Records(databases.urls[system]) as records:
        records.migrate()
    start = now_us() - count * _SECOND
    with databases.source(system) as source:
        for first in range(0, count, _BATCH):
            numbers = range(first, min(first + _BATCH, count))
            source.records.admit([_item(system, number, start) for number in numbers], "benchmark")
    # as PostgreSQL does by itself within a minute of so many new rows
    with create_engine(
        databases.urls[system], isolation_level="AUTOCOMMIT"
    ).connect() as connection:
        connection.execute(text("ANALYZE"))


def _item(system: str, number: int, start: int) -> ReviewItem:
    at = start + number * _SECOND
    shown = {
        "amount": f"{10 + number % 990}.00 USD",
        "score": round(0.4 + number % 50 / 100, 2),
        "reasons": ["amount far above the customer's mean", "a device seen first an hour ago"],
        "rules": ["new_device_large_amount"],
    }
    return item(
        number, system=system, subject_id=f"{system}-{number:06}",
        policies={QUESTIONS[system]: 0.7}, created_at=at, due_at=at + 3_600 * _SECOND,
        rank_us=at, shown=shown,
    )  # fmt: skip


def race(databases: Databases, program: str, url: str, count: int) -> dict[str, Any]:
    """Two browsers at one queue, and what the audit says of it."""
    started = time.perf_counter()
    counts = browsers.race(program, url, f"queue/{RACED}", databases.new_keys(("ann", "bob")))
    seconds = time.perf_counter() - started
    decided: Counter[str] = Counter()
    with databases.source(RACED) as source:
        for number in range(count):
            for entry in source.records.list_history(f"{RACED}-{number:06}"):
                decided[entry.item_id] += entry.what == "decided"
    return {
        "items": count,
        "second_opinions": len(decided) - count,
        "decided_by_each": counts,
        "decided_once": sum(times == 1 for times in decided.values()),
        "decided_twice": sum(times > 1 for times in decided.values()),
        "not_decided": sum(times == 0 for times in decided.values()),
        "seconds": round(seconds, 1),
    }


@contextmanager
def process(*command: str) -> Iterator[str]:
    """A process that prints a line when it is ready, and ends when its input does."""
    with subprocess.Popen(
        [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        try:
            line = started.stdout.readline().strip()
            if not line:
                raise RuntimeError(f"{command[0]} did not start")
            yield line
        finally:
            started.stdin.close()
            started.wait(timeout=60)


@asynccontextmanager
async def clicking(config: Config, url: str, keys: Sequence[str], done: list[Any]) -> Any:
    """People who click for as long as a phase lasts."""
    people = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.console_people.clicks", "--url", url,
        "--seconds", str(config.seconds), "--keys", *keys, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert people.stdout is not None
    await people.stdout.readline()
    yield
    done.append(json.loads(await people.stdout.readline()))
    await people.wait()


async def score_beside(config: Config, databases: Databases, url: str) -> dict[str, Any]:
    """The fraud service's answers without and beside people who click."""
    keys = databases.new_keys([f"person{number}" for number in range(config.people)])
    load = PaymentLoad(seconds=config.seconds, rate=config.rate)
    alone, beside, done = Phase([]), Phase([]), []
    scored = databases.folder / "scored"
    scored.mkdir()
    with process("tests.benchmarks.strangers", "--server", str(scored)) as line:
        port, token = line.split()
        await measure(replace(load, seconds=3.0), int(port), token, Phase([]))
        for turn in range(config.rounds):
            for is_beside in (False, True) if turn % 2 == 0 else (True, False):
                if is_beside:
                    async with clicking(config, url, keys, done):
                        await measure(load, int(port), token, beside)
                else:
                    await measure(load, int(port), token, alone)
    clicks = {name: sum(each[name] for each in done) for name in ("clicks", "decided", "errors")}
    return {
        "people": config.people,
        **clicks,
        "clicks_per_s": round(clicks["clicks"] / config.seconds / config.rounds, 1),
        "payments": len(alone.latencies) + len(beside.latencies),
        "payment_errors": alone.errors + beside.errors,
        "p50_ms": [round(phase.quantile_ms(0.5), 2) for phase in (alone, beside)],
        "p99_ms": [round(phase.quantile_ms(0.99), 2) for phase in (alone, beside)],
        "p99_ratio": round(beside.quantile_ms(0.99) / alone.quantile_ms(0.99), 3),
        "p99_ratio_interval": ratio_interval(beside, alone, int(config.rate)),
    }


def browse(config: Config, databases: Databases, program: str, url: str) -> dict[str, Any]:
    """First loads and next items of the long queue."""
    (key,) = databases.new_keys(("ida",))
    with browsers.chromium(program) as browser:
        loads = browsers.first_loads(browser, url, "queue/fraud", key, config.loads)
        print(f"first loads: {loads}", flush=True)
        waits = browsers.next_items(browser, url, "queue/fraud", key, config.decisions)
        looked_at, barriers = browsers.serious_barriers(browser, url, "queue/fraud", key)
    paints = [load.paint_ms for load in loads]
    return {
        "first_load_kb": round(max(load.kilobytes for load in loads), 1),
        "first_paint_ms": quantiles(paints),
        "next_item_ms": quantiles(waits),
        "decided": len(waits),
        "axe_pages": looked_at,
        "axe_serious": len(barriers),
        "axe_barriers": barriers,
    }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """The median and the 95% quantile."""
    cut: Callable[[float], float] = lambda share: float(np.quantile(values, share, method="higher"))  # noqa: E731
    return {"p50": round(cut(0.5), 1), "p95": round(cut(0.95), 1)}


def main(config: Config) -> None:
    """Measure all and print it."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed: apt-get install chromium")
    began = time.perf_counter()
    with new_databases() as databases:
        fill(databases, "fraud", config.queued)
        fill(databases, RACED, config.raced)
        databases.new_keys(("nobody",))
        options = ("--folder", str(databases.folder), "--urls", json.dumps(databases.urls))
        with process("tests.benchmarks.console_target", *options) as port:
            url = f"http://{HOST}:{port}/console/"
            result: dict[str, Any] = {"queue": browse(config, databases, program, url)}
            print(json.dumps(result), flush=True)
            result["race"] = race(databases, program, url, config.raced)
            print(json.dumps(result["race"]), flush=True)
            if config.people:
                result["scoring"] = asyncio.run(score_beside(config, databases, url))
        store = databases.urls["fraud"].partition(":")[0]
    print_result(
        config.queued,
        time.perf_counter() - began,
        benchmark="console",
        store=store,
        **headline(result),
        **result,
    )


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """The figures that have goals, by name."""
    queue, scoring = result["queue"], result.get("scoring", {})
    return {
        "first_load_kb": queue["first_load_kb"],
        "first_paint_ms": queue["first_paint_ms"]["p95"],
        "next_item_p95_ms": queue["next_item_ms"]["p95"],
        "axe_serious": queue["axe_serious"],
        "decided_twice": result["race"]["decided_twice"],
        "scoring_p99_ratio": scoring.get("p99_ratio"),
    }


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
