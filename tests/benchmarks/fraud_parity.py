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

from lib.feature import (
    FeatureSet,
    OnlineFeatures,
    ProfileStore,
    RedisStore,
    SqliteStore,
    StoreError,
    compute,
    events,
    replay,
)
from lib.fraud.features import FRAUD
from tests.benchmarks.result import print_result
from tests.fraud.payment_files import read_payments


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


def observed(table: pa.Table, store: ProfileStore, feature_set: FeatureSet = FRAUD) -> np.ndarray:
    """The online features, (payments, features), of a table in processing order."""
    online = OnlineFeatures(feature_set)
    features = np.empty((len(table), len(feature_set.names)))
    row = 0
    with tqdm(total=len(table), unit="payment", mininterval=5) as progress:
        for exchange, event in replay(online, events(table)):
            reply = store.exchange(exchange)
            if event is not None:
                values = online.read(event, reply).values
                features[row] = [values[name] for name in feature_set.names]
                row += 1
                progress.update()
    return features


def main(config: Config) -> None:
    """Replay, compare, print the JSON line."""
    started = time.perf_counter()
    table = read_payments(config.transactions).slice(config.skip, config.limit)
    offline = compute(FRAUD, table)
    with opened(config.store) as store:
        online = observed(table, store)
    differing = 0
    for column, name in enumerate(FRAUD.names):
        expected = offline.column(name).to_numpy()
        same = (expected == online[:, column]) | (np.isnan(expected) & np.isnan(online[:, column]))
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
