"""The journal against a SQLite outbox: `python -m tests.benchmarks.decision_log`.

Three ways to keep an answered decision between the answer and the database: `journal`, the
product's decision log with its drain process; `outbox`, a table in a SQLite file in WAL mode with
`synchronous=NORMAL` (a commit survives a killed process, as a line of the journal does); `outbox
full`, the same with `synchronous=FULL` (a commit survives a power cut, too). All are emptied by a
process of their own into the same records, every second, in batches of 1,000.

For each: latency of an append at a steady rate while it is emptied; appends a second without a
pause, by one thread and by four; and writers killed by SIGKILL at a random moment: decisions that
were acknowledged and are `lost` or `doubled` in the records afterwards. Rounds of the three
alternate. Prints one JSON line for each, and one with the ratios.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import tyro

from lib.records import Decision, DecisionLog, DrainProcess, Records
from lib.records.draining import drain, store_lines
from lib.records.segment import encode_row
from tests.benchmarks.phases import Phases
from tests.benchmarks.result import print_result
from tests.records.conftest import decision, row_of

NAMES = ("journal", "outbox", "outbox full")
_BATCH = 1_000
_DRAIN_SECONDS = 1.0
_RECOVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Options(Phases):
    """What is measured.

    The phases that take turns are the logs of `NAMES`, each at a steady rate and without pauses.
    """

    rate: float = 500.0
    """Appends a second of the steady phase."""
    burst_seconds: float = 2.0
    """Of each phase without a pause."""
    kills: int = 20
    """Writers that are killed."""
    seed: int = 7
    """Of the moments at which they are killed."""
    writer: str = ""
    """Name of the log that this process writes until it is killed; set by the benchmark itself."""
    drainer: bool = False
    """Whether this process empties an outbox; set by the benchmark itself."""
    folder: Path = Path()
    """Where; set by the benchmark itself."""


class Log(Protocol):
    """Keeps lines of decisions until they are stored."""

    def append(self, row: Decision) -> None: ...
    def close(self) -> None: ...


class Journal:
    """The product's log, sealed and drained in the manner of `DecisionStore`."""

    def __init__(self, folder: Path) -> None:
        self._log = DecisionLog(folder / "journal")
        self._drainer = DrainProcess(folder / "journal", _records(folder))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def append(self, row: Decision) -> None:
        self._log.append_line(encode_row(row_of(row)))

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._log.close()
        self._drainer.close()

    def _drain(self) -> None:
        while not self._closing.wait(_DRAIN_SECONDS):
            self._log.seal()
            self._log.measure()
            self._drainer.drain()


class Outbox:
    """A table of lines in SQLite; a connection for each thread, a commit for each append."""

    def __init__(self, folder: Path, synchronous: str) -> None:
        self._path, self._synchronous = folder / "outbox.sqlite", synchronous
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._connection()
        command = [sys.executable, "-m", "tests.benchmarks.decision_log", "--drainer"]
        self._process = subprocess.Popen(
            [*command, f"--folder={folder}"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )

    def append(self, row: Decision) -> None:
        line = encode_row(row_of(row))
        self._connection().execute("INSERT INTO outbox (line) VALUES (?)", (line,))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        for connection in self._connections:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _open_outbox(self._path, self._synchronous)
            self._connections.append(connection)
        return connection


def _open_outbox(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, line BLOB)"
    )
    return connection


def empty_outbox(folder: Path, closing_event: threading.Event) -> None:
    """Moves the outbox to the records every second, and a last time when the event is set."""
    with (
        closing(_opened_records(folder)) as records,
        closing(_open_outbox(folder / "outbox.sqlite", "NORMAL")) as connection,
    ):
        is_last = False
        while not is_last:
            is_last = closing_event.wait(_DRAIN_SECONDS)
            while _move(connection, records):
                pass


def _move(connection: sqlite3.Connection, records: Records) -> bool:
    rows = connection.execute(
        "SELECT number, line FROM outbox ORDER BY number LIMIT ?", (_BATCH,)
    ).fetchall()
    if rows:
        store_lines([line.rstrip(b"\n") for _, line in rows], records)
        connection.execute("DELETE FROM outbox WHERE number <= ?", (rows[-1][0],))
    return len(rows) == _BATCH


def _records(folder: Path) -> str:
    return f"sqlite:///{folder}/records.sqlite"


def _opened_records(folder: Path) -> Records:
    records = Records(_records(folder))
    records.migrate()
    return records


def open_log(name: str, folder: Path) -> Log:
    """A log of one of the three kinds in a folder."""
    if name == "journal":
        return Journal(folder)
    return Outbox(folder, "FULL" if name == "outbox full" else "NORMAL")


@contextmanager
def _log(name: str) -> Iterator[Log]:
    with tempfile.TemporaryDirectory() as folder:
        _opened_records(Path(folder)).close()
        log = open_log(name, Path(folder))
        try:
            yield log
        finally:
            log.close()


@dataclass
class Measured:
    """Figures of one kind of log."""

    latencies: list[float] = field(default_factory=list)
    one_thread: list[float] = field(default_factory=list)
    four_threads: list[float] = field(default_factory=list)

    def quantile_us(self, share: float) -> float:
        """A quantile of the appends' latencies, microseconds."""
        return round(1e6 * float(np.quantile(self.latencies, share)), 1)


def measure_latency(name: str, options: Options) -> list[float]:
    """Seconds that appends at a steady rate took."""
    latencies = []
    with _log(name) as log:
        start = time.perf_counter()
        for number in range(int(options.rate * options.seconds)):
            time.sleep(max(0.0, start + number / options.rate - time.perf_counter()))
            row = decision(f"t{number}")
            begin = time.perf_counter()
            log.append(row)
            latencies.append(time.perf_counter() - begin)
    return latencies


def measure_rate(name: str, options: Options, threads: int) -> float:
    """Appends a second without a pause, over `burst_seconds`."""
    row = decision()

    def append_all(worker: int) -> int:
        count = 0
        while time.perf_counter() < until:
            log.append(replace(row, subject_id=f"{worker}-{count}"))
            count += 1
        return count

    with _log(name) as log, ThreadPoolExecutor(threads) as pool:
        until = time.perf_counter() + options.burst_seconds
        return sum(pool.map(append_all, range(threads))) / options.burst_seconds


def write_until_killed(name: str, folder: Path) -> None:
    """Appends decisions and acknowledges each on standard output."""
    log = open_log(name, folder)
    number = 0
    while True:
        log.append(decision(f"t{number}"))
        print(number, flush=True)
        number += 1


def count_after_kill(name: str, seconds: float) -> Counter[str]:
    """Decisions acknowledged, lost and doubled by a writer that is killed after some seconds."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        _opened_records(folder).close()
        command = [sys.executable, "-m", "tests.benchmarks.decision_log"]
        options = [f"--writer={name}", f"--folder={folder}"]
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
            timer.start()
            lines = process.stdout.read().split("\n")
        acknowledged = 1 + sum(1 for line in lines[:-1] if line)
        _recover(name, folder)
        return _count_stored(folder, acknowledged)


def _recover(name: str, folder: Path) -> None:
    """What the next process of the machine does with what the killed one left.

    The drain of the killed process may hold segments until it ends by itself: drained in turn
    until nothing waits, a minute at most.
    """
    if name == "journal":
        until = time.monotonic() + _RECOVERY_SECONDS
        with closing(_opened_records(folder)) as records, DecisionLog(folder / "journal") as log:
            while log.pending_bytes and time.monotonic() < until:
                time.sleep(_DRAIN_SECONDS)
                log.seal()
                drain(folder / "journal", records)
                log.measure()
    else:
        time.sleep(2 * _DRAIN_SECONDS)
        event = threading.Event()
        event.set()
        empty_outbox(folder, event)


def _count_stored(folder: Path, acknowledged: int) -> Counter[str]:
    with closing(sqlite3.connect(folder / "records.sqlite")) as connection:
        query = "SELECT subject_id, count(*) FROM decisions GROUP BY subject_id"
        stored = dict(connection.execute(query).fetchall())
    lost = sum(f"t{number}" not in stored for number in range(acknowledged))
    doubled = sum(count > 1 for count in stored.values())
    return Counter(acknowledged=acknowledged, lost=lost, doubled=doubled)


def main(options: Options) -> None:
    """Measures the three, and prints a line for each and one with the ratios."""
    measured = {name: Measured() for name in NAMES}
    for _ in range(options.rounds):
        for name, figures in measured.items():
            figures.latencies += measure_latency(name, options)
            figures.one_thread.append(measure_rate(name, options, 1))
            figures.four_threads.append(measure_rate(name, options, 4))
    for name, figures in measured.items():
        started, draw = time.perf_counter(), random.Random(options.seed)
        killed: Counter[str] = Counter(lost=0, doubled=0)
        for _ in range(options.kills):
            killed.update(count_after_kill(name, draw.uniform(0.2, 2.5)))
        print_result(
            len(figures.latencies),
            time.perf_counter() - started,
            benchmark="decision_log",
            log=name,
            rate=options.rate,
            append_p50_us=figures.quantile_us(0.5),
            append_p99_us=figures.quantile_us(0.99),
            append_p999_us=figures.quantile_us(0.999),
            append_max_us=figures.quantile_us(1.0),
            appends_a_second_one_thread=round(float(np.median(figures.one_thread))),
            appends_a_second_four_threads=round(float(np.median(figures.four_threads))),
            kills=options.kills,
            **killed,
        )
    _print_ratios(measured)


def _print_ratios(measured: dict[str, Measured]) -> None:
    journal = measured["journal"]

    def ratio(of: Callable[[Measured], float], name: str) -> float:
        return round(of(measured[name]) / of(journal), 2)

    values = {
        f"{figure} {name}": ratio(of, name)
        for name in NAMES[1:]
        for figure, of in (
            ("append_p50", lambda figures: figures.quantile_us(0.5)),
            ("append_p99", lambda figures: figures.quantile_us(0.99)),
            ("append_p999", lambda figures: figures.quantile_us(0.999)),
            ("appends_a_second", lambda figures: float(np.median(figures.one_thread))),
        )
    }
    print_result(0, 0.0, benchmark="decision_log ratios to the journal", **values)


def _wait_for_end_of_input(event: threading.Event) -> None:
    sys.stdin.read()
    event.set()


if __name__ == "__main__":
    chosen = tyro.cli(Options, description=__doc__)
    if chosen.writer:
        write_until_killed(chosen.writer, chosen.folder)
    elif chosen.drainer:
        ended = threading.Event()
        threading.Thread(target=_wait_for_end_of_input, args=(ended,), daemon=True).start()
        empty_outbox(chosen.folder, ended)
    else:
        main(chosen)
