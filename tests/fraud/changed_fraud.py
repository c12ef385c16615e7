"""Simulated payments whose fraudsters change on a day, in files as jobs read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.fraud.simulation import SimulationConfig, simulate
from lib.fraud.simulation.config import DAY_US

OLD = ("compromised_merchant", "stolen_card")
NEW = ("device_ring", "card_testing", "account_takeover")


@dataclass(frozen=True)
class PaymentFiles:
    """Payments of some days, and their labels.

    Attributes:
        transactions, labels: Parquet files.
    """

    transactions: Path
    labels: Path


def write_payments(
    folder: Path, days: int, changes_on: int | None = None, until: int | None = None, seed: int = 3
) -> PaymentFiles:
    """Payments of `days` days, in which other crimes are committed from a day on.

    Args:
        folder: for the files.
        days: of the history.
        changes_on: first day of the new crimes; None: the old ones go on.
        until: the day at which the files end; labels that came later are left out.
        seed: of the simulation.
    """
    config = SimulationConfig(users=200, days=days, fraud_share=0.03)
    simulated = simulate(config, seed)
    change = config.end_us if changes_on is None else config.start_us + changes_on * DAY_US
    end = config.end_us if until is None else config.start_us + until * DAY_US
    payments = simulated.transactions
    scenario = _scenarios(payments, simulated.truth)
    early = pc.less(payments["event_time"].cast(pa.int64()), change)
    fits = pc.if_else(early, _among(scenario, OLD), _among(scenario, NEW))
    kept = pc.and_(pc.or_(pc.is_null(scenario), fits), _before(payments, "event_time", end))
    labels = simulated.labels
    known = pc.is_in(labels["transaction_id"], value_set=pc.unique(payments.filter(kept)[0]))
    folder.mkdir(parents=True, exist_ok=True)
    files = PaymentFiles(folder / "transactions.parquet", folder / "labels.parquet")
    pq.write_table(payments.filter(kept), files.transactions)
    kept_labels = pc.and_(known, _before(labels, "observed_at", end))
    pq.write_table(labels.filter(kept_labels), files.labels)
    return files


def _scenarios(payments: pa.Table, truth: pa.Table) -> pa.ChunkedArray:
    """(payments,) the crime that each is, null where it is honest."""
    places = pc.index_in(
        payments["transaction_id"], value_set=truth["transaction_id"].combine_chunks()
    )
    return truth["scenario"].take(places)


def _among(scenario: pa.ChunkedArray, names: tuple[str, ...]) -> pa.ChunkedArray:
    return pc.is_in(scenario, value_set=pa.array(names))


def _before(table: pa.Table, column: str, end_us: int) -> pa.ChunkedArray:
    return pc.less(table[column].cast(pa.int64()), end_us)
