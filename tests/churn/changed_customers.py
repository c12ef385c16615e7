"""Simulated accounts of which at first others leave than those that fall silent, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.churn import simulate
from jobs.churn.simulate import Simulate
from lib.feature import DAY
from tests.churn.small_model import SMALL_TREES

SMALL = {
    "model": SMALL_TREES,
    "bootstrap": 60,
    "simulated": True,
    "engine": "process",
    "progress": "none",
    "every_days": 20,
}
"""Options of a small training."""
TABLES = ("customers", "usage", "tickets", "invoices", "payments", "surveys", "signals", "churn")


def write_accounts(folder: Path, days: int, accounts: int = 150) -> Path:
    """Files of accounts of which many leave."""
    folder.mkdir(parents=True, exist_ok=True)
    simulate.main(
        Simulate(folder, accounts=accounts, days=days, seed=4, leave_a_year=0.7, progress="none")
    )
    return folder


def blinded(source: Path, folder: Path, until: int) -> Path:
    """The same files up to a day, with notices of customers who were drawn at random.

    A model of them learns nothing that holds for customers who fall silent before they leave.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start = min(
        pc.min(pq.read_table(source / f"{name}.parquet")["event_time"]).cast(pa.int64()).as_py()
        for name in ("usage", "churn")
    )
    for name in TABLES:
        table = pq.read_table(source / f"{name}.parquet")
        early = pc.less(table["event_time"].cast(pa.int64()), start + until * DAY)
        pq.write_table(table.filter(early), folder / f"{name}.parquet")
    notices = pq.read_table(folder / "churn.parquet")
    names = pq.read_table(folder / "customers.parquet")["customer_id"].unique().to_pylist()
    drawn = np.random.default_rng(1).choice(names, notices.num_rows, replace=False)
    index = notices.schema.get_field_index("customer_id")
    column = pa.array(drawn.tolist(), notices.schema.field(index).type)
    pq.write_table(notices.set_column(index, "customer_id", column), folder / "churn.parquet")
    return folder


def sources(folder: Path) -> dict[str, str]:
    """Options of jobs that name the tables of a folder."""
    return {name: str(folder / f"{name}.parquet") for name in TABLES}
