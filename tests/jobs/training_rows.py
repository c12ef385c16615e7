"""A features folder made up for the training tests: real columns, made-up values."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lib.calibration import sigmoid
from lib.fraud.features import FRAUD

DAY = 86_400_000_000
START = 1_735_689_600_000_000


def write_rows(folder: Path, rows: int = 6_000, days: int = 40, frauds: bool = True) -> Path:
    """`folder/data` with made-up payments whose fraud follows three of the features."""
    generator = np.random.default_rng(1)
    moments = START + np.sort(generator.integers(0, days * DAY, rows))
    columns: dict[str, object] = {
        name: np.where(generator.random(rows) < 0.1, np.nan, generator.normal(size=rows))
        for name in FRAUD.names
    }
    amount = np.exp(generator.normal(8, 1, rows)).astype(np.int64)
    signals = [np.nan_to_num(columns[name]) for name in FRAUD.names[-3:]]
    is_fraud = generator.random(rows) < sigmoid(-5 + 1.8 * sum(signals))
    known_at = moments + generator.integers(1, 5 * DAY, rows)
    labelled = is_fraud & frauds
    table = pa.table(
        {
            "transaction_id": [f"t{number}" for number in range(rows)],
            "event_time": pa.array(moments, pa.timestamp("us", tz="UTC")),
            "user_id": [f"u{user}" for user in generator.integers(0, 300, rows)],
            "merchant_id": [f"m{merchant}" for merchant in generator.integers(0, 50, rows)],
            "device_id": [f"d{device}" for device in generator.integers(0, 300, rows)],
            "amount_minor": amount,
            "currency": ["EUR"] * rows,
            "payment_method": ["card"] * rows,
            "fraud_from": pa.array(known_at, pa.timestamp("us", tz="UTC"), mask=~labelled),
            "fraud_until": pa.nulls(rows, pa.timestamp("us", tz="UTC")),
            **columns,
        }
    )
    (folder / "data").mkdir(parents=True)
    half = rows // 2
    pq.write_table(table.slice(half), folder / "data" / "b.parquet")
    pq.write_table(table.slice(0, half), folder / "data" / "a.parquet")
    return folder
