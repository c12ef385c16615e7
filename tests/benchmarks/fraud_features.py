"""How fast the fraud features are computed over a table, beside pandas.

`python -m tests.benchmarks.fraud_features --transactions FILE`. The last line is one JSON object:
rows per second of the full feature set on one core, at 1/16, 1/4 and all of the rows; pandas
`groupby().rolling()` over the same windows (sliding ones: it has no sawtooth) for those of the
features that it can express, beside ours for those features alone; and the whole job on Ray that is
started already, reading and writing included.
"""

import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import tyro

from jobs.fraud.features import FeaturesConfig, write_features
from lib.feature import FeatureSet, compute
from lib.fraud.features import FRAUD
from tests.benchmarks.result import peak_mb, print_result
from tests.fraud.payment_files import HANDBOOK_COLUMN, MAPPINGS, read_payments

FRACTIONS = (16, 4, 1)
_KEEP = {"MALLOC_TRIM_THRESHOLD_": str(2**36), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
"""Settings of glibc: a process gives no memory back that it may need again (mallopt(3))."""


@dataclass(frozen=True)
class Config:
    """Measure the offline features."""

    transactions: str
    """Parquet file of payments: the Handbook's, or one with the contract's columns."""
    repeats: int = 5
    """Runs of each size; the fastest counts, since other load only ever slows one down."""
    ray_data: bool = True
    """Also run the whole job on Ray."""
    partitions: int = 0
    """Blocks per shuffle of that job; 0 lets it choose."""


def touch(gigabytes: float = 4.0) -> None:
    """Writes to memory that the process then keeps; see `_KEEP`.

    A virtual machine is handed its memory when it first writes to it, which takes longer than the
    arithmetic that is measured; both sides begin with memory that was written to before.
    """
    for _ in range(2):
        pieces = [np.ones(2**21) for _ in range(int(gigabytes * 64))]
        del pieces


def same_as_pandas() -> FeatureSet:
    """The features that `pandas_rolling` computes, and no others."""
    user = [f"txn_count_by_user_{span}" for span in ("1h", "24h", "7d", "30d")]
    user += [f"amount_sum_by_user_{span}" for span in ("1h", "24h", "7d")]
    user += [f"amount_mean_by_user_{span}" for span in ("1d", "7d", "30d")]
    user += ["amount_std_by_user_30d"]
    merchant = [
        f"{measure}_by_merchant_30d" for measure in ("txn_count", "amount_mean", "fraud_rate")
    ]
    for days in (1, 7, 30):
        merchant += [f"{w}_by_merchant_{days}d_behind_7d" for w in ("txn_count", "fraud_rate")]
    chosen = tuple(feature for feature in FRAUD.features if feature.name in {*user, *merchant})
    assert len(chosen) == len(user) + len(merchant)
    return FeatureSet("fraud", FRAUD.version, chosen, facts=FRAUD.facts)


def ours(path: str, rows: int, repeats: int, all_of_them: bool = True) -> tuple[float, float]:
    """Seconds and peak MB of the features over the first `rows` rows, on one core.

    Args:
        path: Parquet file of payments with their facts.
        rows: how many of them.
        repeats: runs; the fastest counts.
        all_of_them: the full feature set; False takes those of `same_as_pandas`.
    """
    features = FRAUD if all_of_them else same_as_pandas()
    pa.set_cpu_count(1)
    table = pq.read_table(path).slice(0, rows)
    compute(features, table)  # also compiles, or loads what was compiled
    peak = peak_mb()
    touch()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        compute(features, table)
        seconds.append(time.perf_counter() - start)
    return min(seconds), peak


def pandas_rolling(path: str, rows: int) -> tuple[float, int]:
    """Seconds that pandas takes for the windows it can express, and how many columns they are."""
    columns = ["event_time", "user_id", "merchant_id", "amount_minor", "fraud_from"]
    frame = pq.read_table(path, columns=columns).slice(0, rows).to_pandas()
    frame["fraud"] = frame.pop("fraud_from").notna().astype(float)
    touch()
    start = time.perf_counter()
    column_count = _user_columns(frame) + _merchant_columns(frame)
    return time.perf_counter() - start, column_count


def _user_columns(frame: pd.DataFrame) -> int:
    by_user = frame.set_index("event_time").groupby("user_id")["amount_minor"]
    aggregates = {"1h": ["count", "sum"], "24h": ["count", "sum", "mean"], "7d": ["count", "sum"]}
    aggregates |= {"7d ": ["mean"], "30d": ["count", "mean", "std"]}
    column_count = 0
    for window, names in aggregates.items():
        rolling = by_user.rolling(window.strip(), closed="left")
        column_count += sum(len(getattr(rolling, name)()) > 0 for name in names)
    return column_count


def _merchant_columns(frame: pd.DataFrame) -> int:
    by_merchant = frame.set_index("event_time").groupby("merchant_id")
    recent = by_merchant["amount_minor"].rolling("30d", closed="left")
    column_count = sum(len(getattr(recent, name)()) > 0 for name in ("count", "mean"))
    fraud = by_merchant["fraud"]
    column_count += len(fraud.rolling("30d", closed="left").mean()) > 0
    # a window behind a delay is the difference of two windows that reach up to now
    delay = {name: getattr(fraud.rolling("7d", closed="left"), name)() for name in ("count", "sum")}
    for window in ("8d", "14d", "37d"):
        rolling = fraud.rolling(window, closed="left")
        counts, sums = rolling.count() - delay["count"], rolling.sum() - delay["sum"]
        column_count += 2 * (len(sums / counts) > 0)
    return column_count


def on_ray_data(config: Config, rows: int) -> float:
    """Rows per second of the whole job, from the source file to Parquet with features."""
    handbook = HANDBOOK_COLUMN in pq.read_schema(config.transactions).names
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_features(
            FeaturesConfig(
                transactions=config.transactions,
                output=folder,
                labels=config.transactions if handbook else None,
                mapping_transactions=_mapping("transactions") if handbook else None,
                mapping_labels=_mapping("labels") if handbook else None,
                partitions=config.partitions,
            )
        )
        return rows / (time.perf_counter() - start)


def _mapping(name: str) -> str:
    return str(MAPPINGS / f"handbook_{name}.yaml")


def main(config: Config) -> None:
    """Measure, print a table and the JSON line."""
    started = time.perf_counter()
    os.environ.update(_KEEP)  # read by the processes that are started below
    table = read_payments(config.transactions)
    print(f"{config.transactions}: {len(table):,} rows, {len(FRAUD.names)} features")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "payments.parquet")
        pq.write_table(table, path)
        per_row: dict[int, float] = {}
        peak = 0.0
        spawn = multiprocessing.get_context("spawn")
        for fraction in FRACTIONS:
            rows = len(table) // fraction
            with ProcessPoolExecutor(1, spawn) as fresh:
                seconds, peak = fresh.submit(ours, path, rows, config.repeats).result()
            per_row[fraction] = seconds / rows
            print(f"  {rows:>9,} rows: {rows / seconds:>9,.0f} rows/s, peak {peak:,.0f} MB")
        with ProcessPoolExecutor(1, spawn) as fresh:
            same, _ = fresh.submit(ours, path, len(table), config.repeats, False).result()
        print(f"  those of pandas alone: {len(table) / same:,.0f} rows/s")
        with ProcessPoolExecutor(1, spawn) as fresh:
            pandas_seconds, pandas_columns = fresh.submit(pandas_rolling, path, len(table)).result()
    pandas_rate = len(table) / pandas_seconds
    rate = 1 / per_row[1]
    print(f"  pandas rolling: {pandas_rate:,.0f} rows/s for {pandas_columns} of the features")
    ray_rate = None
    if config.ray_data:
        ray.init(address="local", log_to_driver=False)
        ray_rate = on_ray_data(config, len(table))
        ray.shutdown()
        print(f"  the whole job, file to file: {ray_rate:,.0f} rows/s")
    print_result(
        len(table),
        time.perf_counter() - started,
        rows_per_s=round(rate),
        rows_per_s_16th=round(1 / per_row[16]),
        rows_per_s_4th=round(1 / per_row[4]),
        pandas_rows_per_s=round(pandas_rate),
        pandas_features=pandas_columns,
        ratio=round(rate / pandas_rate, 2),
        same_features_rows_per_s=round(len(table) / same),
        same_features_ratio=round(pandas_seconds / same, 2),
        cost_growth=round(per_row[1] / per_row[16], 3),
        peak_mb=round(peak),
        features=len(FRAUD.names),
        ray_data_rows_per_s=ray_rate and round(ray_rate),
    )


if __name__ == "__main__":
    main(tyro.cli(Config))
