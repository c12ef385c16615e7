"""Simulated payments with columns that the contract does not have, in files as jobs read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.fraud.simulation import SimulationConfig, simulate

NUMBERS = tuple(f"v{number}" for number in range(1, 21))
_TELLING = 3
_CHANNELS = ("web", "app", "store", "phone")
FEATURES = """\
features:
- {name: merchants_by_device_3d, unit: merchants, words: different shops on this device within three
   days, key: [device_id], aggregate: distinct, of: merchant_id, window: 3d, hop: 10m}
- {name: v1_mean_by_merchant_7d, unit: number, key: [merchant_id], aggregate: mean, of: v1,
   window: 7d}
- {name: v2_before_by_user, unit: number, key: [user_id], aggregate: latest, of: v2, horizon: 30d}
- {name: guests_by_channel_1d, unit: payments, key: [channel], aggregate: sum, of: is_guest,
   window: 1d, hop: 1h}
- {name: amount_by_account_age, unit: EUR per day, expression: amount / (account_age + 1)}
"""
"""Features over the contract's columns and over attributes."""


@dataclass(frozen=True)
class AttributeFiles:
    """Where everything is that a training is given.

    Attributes:
        transactions, labels: Parquet files.
        mapping: mapping file of the transactions, with attributes.
        features: feature file.
    """

    transactions: Path
    labels: Path
    mapping: Path
    features: Path


def write_files(
    folder: Path, users: int = 120, days: int = 40, seed: int = 5, fraud_share: float = 0.03
) -> AttributeFiles:
    """Payments by category, channel, guests and twenty numbers, of which some tell fraud apart.

    Args:
        folder: for the files.
        users: of the simulation.
        days: of the history.
        seed: of all that is drawn.
        fraud_share: of the payments.
    """
    config = SimulationConfig(users=users, days=days, fraud_share=fraud_share)
    simulated = simulate(config, seed)
    payments = simulated.transactions
    ids = payments["transaction_id"].combine_chunks()
    frauds = simulated.labels.filter(simulated.labels["is_fraud"])["transaction_id"]
    is_fraud = pc.is_in(ids, value_set=frauds.combine_chunks()).to_numpy(zero_copy_only=False)
    columns = _attributes(is_fraud, np.random.default_rng(seed))
    folder.mkdir(parents=True, exist_ok=True)
    files = AttributeFiles(
        *(folder / name for name in ("payments.parquet", "labels.parquet")),
        *(folder / name for name in ("payments.yaml", "features.yaml")),
    )
    for name, values in columns.items():
        payments = payments.append_column(name, values)
    pq.write_table(payments, files.transactions)
    pq.write_table(simulated.labels, files.labels)
    files.mapping.write_text(mapping(simulated.transactions.column_names))
    files.features.write_text(FEATURES)
    return files


def mapping(columns: list[str], attributes: str = "") -> str:
    """A mapping file by the contract's names, with attributes unless others are given."""
    lines = [
        f"  {name}: {{from: {name}{', unit: minor' if name == 'amount_minor' else ''}}}"
        for name in columns
    ]
    numbers = [f"  {name}: {{from: {name.upper()}, type: number}}" for name in NUMBERS]
    own = attributes or "\n".join(
        [
            "  category: {from: mcc, type: category, words: the branch of the shop}",
            "  channel: {from: channel, type: category}",
            "  is_guest: {from: guest, type: flag, values: {Y: 'true', N: 'false'}}",
            "  account_age: {from: age, type: number, unit: days, low: 0, high: 40000}",
            *numbers,
        ]
    )
    return "\n".join(["contract: transactions", "columns:", *lines, "attributes:", own, ""])


def _attributes(is_fraud: np.ndarray, draw: np.random.Generator) -> dict[str, pa.Array]:
    count = len(is_fraud)
    risky = is_fraud & (draw.random(count) < 0.5)
    category = np.where(risky, draw.integers(0, 5, count), draw.integers(0, 60, count))
    channel = draw.choice(len(_CHANNELS), count, p=[0.4, 0.4, 0.15, 0.05])
    columns = {
        "mcc": pa.array([f"mcc{value}" for value in category]),
        "channel": pa.array([_CHANNELS[k] for k in channel], mask=draw.random(count) < 0.05),
        "guest": pa.array(np.where(draw.random(count) < 0.2 + 0.3 * is_fraud, "Y", "N")),
        "age": pa.array(np.round(draw.exponential(400.0, count) / (1 + 2 * is_fraud), 1)),
    }
    for number, name in enumerate(NUMBERS):
        shift = 1.5 * is_fraud if number < _TELLING else 0.0
        values = draw.normal(0.0, 1.0, count) + shift
        columns[name.upper()] = pa.array(values, mask=draw.random(count) < 0.02)
    return columns
