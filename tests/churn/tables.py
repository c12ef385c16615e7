"""A customer's tables written by hand, and simulated ones."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from lib.churn.contracts import CONTRACTS
from lib.churn.events import stream
from lib.churn.features import churn_features
from lib.churn.simulation.accounts import (
    Lifecycles,
    SimulationConfig,
    draw_accounts,
    simulate_lifecycles,
)
from lib.churn.simulation.tables import write_tables
from lib.churn.snapshots import features_at
from lib.churn.vocabulary import CustomerVocabulary, vocabulary_of
from lib.feature import DAY

BASE = CustomerVocabulary(("large", "small"), ("basic", "pro"))


def at(month: int, day: int, hour: int = 0) -> datetime:
    """A time of 2025, UTC."""
    return datetime(2025, month, day, hour, tzinfo=UTC)


def us(time: datetime) -> int:
    """Microseconds since 1970."""
    return round(time.timestamp() * 1e6)


def table(name: str, *rows: dict[str, Any]) -> pa.Table:
    """A checked table of a contract; `customer_id` is c1 unless a row says otherwise."""
    contract = {schema.name: schema for schema in CONTRACTS}[name]
    filled = [{"customer_id": "c1", **row} for row in rows]
    columns = {
        column.name: pa.array([row.get(column.name) for row in filled], column.type)
        for column in contract.columns
    }
    checked = contract.check(pa.table(columns))
    assert not checked.reasons, checked.reasons
    return checked.good


SIGNED = {
    "event_time": at(1, 1),
    "contract_start": at(1, 1),
    "segment": "small",
    "seats": 10,
    "mrr_minor": 100_000,
    "plan": "pro",
    "renewal_at": at(12, 31),
}


def happened(base: CustomerVocabulary = BASE, **tables: pa.Table) -> pa.Table:
    """The stream of some tables; c1 has signed unless customers are given."""
    return stream({"customers": table("customers", SIGNED), **tables}, base)


def features(
    when: datetime, base: CustomerVocabulary = BASE, **tables: pa.Table
) -> dict[str, float]:
    """The features of c1 as of a moment."""
    row = features_at(base, happened(base, **tables), ["c1"], np.array([us(when)]))[0]
    return dict(zip(churn_features(base).names, row.tolist(), strict=True))


@cache
def world(
    accounts: int = 260, days: int = 420, seed: int = 3
) -> tuple[Lifecycles, dict[str, pa.Table]]:
    """Simulated accounts and their tables."""
    return simulated(SimulationConfig(accounts, days, seed, leave_a_year=0.35))


def simulated(config: SimulationConfig) -> tuple[Lifecycles, dict[str, pa.Table]]:
    """Accounts and their tables, as `jobs.churn.simulate` draws them."""
    lives = simulate_lifecycles(config, draw_accounts(config))
    return lives, write_tables(config, lives)


def base_in(tables: dict[str, pa.Table]) -> CustomerVocabulary:
    """The base that tables show."""
    columns = (tables["customers"][name].unique().to_pylist() for name in ("segment", "plan"))
    return vocabulary_of(*columns, tables)


START = SimulationConfig().start_us


def day(number: int) -> int:
    """Microseconds of a day of the simulation."""
    return START + number * DAY
