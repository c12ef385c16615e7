"""Do online features equal offline ones?

`python -m tests.benchmarks.fraud_parity --transactions FILE` replays consecutive payments, and the
labels as they become known, through the profile store, and compares every feature of every payment
with the table computed offline. Equal means equal: the same 64 bits, or missing on both sides. The
last line is one JSON object.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import tyro
from tqdm import tqdm

from lib.feature import OnlineFeatures, ProfileStore, RedisStore, SqliteStore, StoreError, compute
from lib.fraud.features import FRAUD
from tests.benchmarks.payments import read_payments
from tests.benchmarks.result import print_result

FACTS = ("fraud", "declined")


@dataclass(frozen=True)
class Config:
    """Replay payments online and compare with the offline table."""

    transactions: str
    """Parquet file of payments: the Handbook's, or one with the contract's columns."""
    limit: int = 200_000
    """How many consecutive payments."""
    skip: int = 0
    """How many to leave out at the start."""
    store: Literal["sqlite", "redis"] = "redis"
    """The profile store: a file, or a redis-server started for the run."""


@contextmanager
def opened(kind: str) -> Iterator[ProfileStore]:
    """An empty store of the kind, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            store: ProfileStore = SqliteStore(Path(folder) / "profiles.db")
            yield store
            store.close()
            return
        program = shutil.which("redis-server")
        if program is None:
            raise SystemExit("error: redis-server is not installed; --store sqlite needs none")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            folder,
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            store = RedisStore(f"redis://127.0.0.1:{port}/0")
            _await(store)
            yield store
            store.close()
            server.terminate()


def _await(store: ProfileStore) -> None:
    for _ in range(200):
        try:
            return store.ping()
        except StoreError:
            time.sleep(0.05)
    raise SystemExit("error: redis-server did not start within 10 s")


def events(table: pa.Table) -> list[dict]:
    """The payments as the online path takes them; times in microseconds."""
    columns = {
        name: table.column(name).cast(pa.int64())
        if pa.types.is_timestamp(table.column(name).type)
        else table.column(name)
        for name in table.column_names
    }
    rows = pa.table(columns).to_pylist()
    for row in rows:
        for name in ("latitude", "longitude"):
            row[name] = float("nan") if row.get(name) is None else row[name]
        row["received_at"] = row.get("received_at") or row["event_time"]
    return rows


def replay(payments: list[dict], store: ProfileStore) -> np.ndarray:
    """The online features, (payments, features)."""
    online = OnlineFeatures(FRAUD)
    facts = sorted(
        (row[f"{fact}_{edge}"], place, fact, edge == "from")
        for place, row in enumerate(payments)
        for fact in FACTS
        for edge in ("from", "until")
        if row.get(f"{fact}_{edge}") is not None
    )
    upcoming = iter([*facts, (2**62, len(payments), "", True)])
    next_fact = next(upcoming)
    waiting: list[tuple] = []
    seen = np.empty((len(payments), len(FRAUD.names)))
    for place, row in enumerate(tqdm(payments, unit="payment", mininterval=5)):
        while next_fact[0] <= row["received_at"]:
            waiting.append(next_fact)
            next_fact = next(upcoming)
        for _, of, fact, known in [w for w in waiting if w[1] < place]:
            store.exchange(online.learn(payments[of], fact, known, revision=int(not known)))
        waiting = [w for w in waiting if w[1] >= place]
        observed = online.read(row, store.exchange(online.request(row)))
        seen[place] = [observed.values[name] for name in FRAUD.names]
    return seen


def main(config: Config) -> None:
    """Replay, compare, print the JSON line."""
    started = time.perf_counter()
    table = read_payments(config.transactions).slice(config.skip, config.limit)
    offline = compute(FRAUD, table)
    with opened(config.store) as store:
        online = replay(events(table), store)
    differing = 0
    for place, name in enumerate(FRAUD.names):
        expected = offline.column(name).to_numpy()
        same = (expected == online[:, place]) | (np.isnan(expected) & np.isnan(online[:, place]))
        differing += int((~same).sum())
        if not same.all():
            print(f"  {name}: {int((~same).sum()):,} values differ")
    values = len(table) * len(FRAUD.names)
    print(f"{config.transactions}: {len(table):,} payments, {differing:,} of {values:,} differ")
    print_result(
        len(table),
        time.perf_counter() - started,
        rows=len(table),
        values=values,
        differing=differing,
        share_differing=differing / values,
        store=config.store,
    )


if __name__ == "__main__":
    main(tyro.cli(Config))
