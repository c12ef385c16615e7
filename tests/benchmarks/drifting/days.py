"""Days of rows of four systems, from real data where they are given, else simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROWS_A_DAY = 1_000
TWEETS_A_DAY = 200
MISSING = 0.01
"""Share of values that are missing in all days, of one feature of payments."""

HOUR = 3_600_000_000
DAY = 24 * HOUR


@dataclass(frozen=True)
class Stream:
    """Days of one system.

    Attributes:
        name: of the system.
        source: the file and its rows, or that they are simulated.
        rows_read: of the file.
        days: rows by day: `entity_id`, `at` (microseconds after midnight), numbers, categories.
        weekdays: (days,) 0 to 6; days are drawn within their weekday.
        served: whether rows a day are those of a service.
    """

    name: str
    source: str
    rows_read: int
    days: list[pd.DataFrame]
    weekdays: np.ndarray
    served: bool

    @property
    def columns(self) -> list[str]:
        """Numbers and categories."""
        return [name for name in self.days[0].columns if name not in {"entity_id", "at"}]


def payments(path: Path | None, rng: np.random.Generator) -> Stream:
    """Of a tenth of the Handbook's customers, about 1,000 a day."""
    if path is None:
        return _simulated("payments", _simulated_payments, rng)
    table = pd.read_parquet(
        path, columns=["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT"]
    )
    read = len(table)
    table = table[table.CUSTOMER_ID % 9 == 0].sort_values("TX_DATETIME", kind="stable")
    minutes = table.groupby("CUSTOMER_ID").TX_DATETIME.diff().dt.total_seconds() / 60.0
    minutes[rng.random(len(table)) < MISSING] = np.nan
    rows = pd.DataFrame(
        {
            "entity_id": table.CUSTOMER_ID.astype(str),
            "time": table.TX_DATETIME,
            "amount": table.TX_AMOUNT,
            "minutes_since_last": minutes,
        }
    )
    # a customer's first payment has no earlier one
    rows = rows[table.TX_DATETIME.min() + pd.Timedelta(days=20) <= table.TX_DATETIME]
    return _by_day("payments", f"{path.name}, {read:,} rows", read, rows, served=True)


def machines(folder: Path | None, rng: np.random.Generator) -> Stream:
    """Hourly readings of 20 machines over 90 days."""
    if folder is None:
        return _simulated("machines", _simulated_machines, rng)
    table = pd.read_parquet(folder / "PdM_telemetry_m001-020_90d.parquet")
    models = pd.read_parquet(folder / "PdM_machines.parquet")
    table = table.merge(models, on="machineID")
    names = ["volt", "rotate", "pressure", "vibration", "model"]
    rows = table[names].assign(entity_id=table.machineID.astype(str), time=table.datetime)
    source = f"PdM_telemetry_m001-020_90d.parquet, {len(table):,} rows"
    stream = _by_day("machines", source, len(table), rows, served=True)
    full = [day for day in range(len(stream.days)) if len(stream.days[day]) == 480]
    return _of_days(stream, full)


def retail(path: Path | None, rng: np.random.Generator) -> Stream:
    """Invoice lines of a wholesaler by day of sale."""
    if path is None:
        return _simulated("customers", _simulated_retail, rng)
    table = pd.read_parquet(path)
    rows = pd.DataFrame(
        {
            "entity_id": table.CustomerID.fillna(-1).astype(int).astype(str) + table.InvoiceNo,
            "time": table.InvoiceDate,
            "quantity": table.Quantity.astype(float),
            "unit_price": table.UnitPrice,
            "country": table.Country,
        }
    )
    return _by_day("customers", f"{path.name}, {len(table):,} rows", len(table), rows, served=True)


def tweets(folder: Path | None, rng: np.random.Generator) -> Stream:
    """Tweets, which have no times: in random order, 200 a day at any hour."""
    if folder is None:
        return _simulated("posts", _simulated_posts, rng)
    table = pd.read_parquet(folder / "labeled_data.parquet").sample(frac=1.0, random_state=rng)
    text = table.tweet.astype(str)
    seconds = np.arange(len(table)) // TWEETS_A_DAY * 86_400 + rng.integers(0, 86_400, len(table))
    rows = pd.DataFrame(
        {
            "entity_id": np.arange(len(table)).astype(str),
            "time": pd.to_datetime(seconds, unit="s"),
            "length": text.str.len().astype(float),
            "exclamations": text.str.count("!").astype(float),
            "capitals": text.str.count("[A-Z]") / text.str.len().clip(lower=1),
            "opinion": table["class"].map({0: "hate", 1: "offensive", 2: "neither"}),
        }
    )
    stream = _by_day("posts", f"labeled_data.parquet, {len(table):,} rows", len(table), rows, True)
    return _of_days(stream, list(range(len(stream.days) - 1)))


def _by_day(name: str, source: str, read: int, rows: pd.DataFrame, served: bool) -> Stream:
    midnight = rows.time.dt.normalize()
    at = ((rows.time - midnight).dt.total_seconds() * 1e6).astype("int64")
    rows = rows.drop(columns="time").assign(at=at)
    groups = [(day, part.reset_index(drop=True)) for day, part in rows.groupby(midnight)]
    weekdays = np.array([pd.Timestamp(day).weekday() for day, _ in groups])
    return Stream(name, source, read, [part for _, part in groups], weekdays, served)


def _of_days(stream: Stream, days: list[int]) -> Stream:
    kept = [stream.days[day] for day in days]
    read, weekdays = stream.rows_read, stream.weekdays[days]
    return Stream(stream.name, stream.source, read, kept, weekdays, stream.served)


def _simulated(
    name: str, day_of: Callable[[np.random.Generator], pd.DataFrame], rng: np.random.Generator
) -> Stream:
    days = [day_of(rng) for _ in range(120)]
    return Stream(name, "simulated, no file was given", 0, days, np.arange(120) % 7, True)


def _simulated_payments(rng: np.random.Generator) -> pd.DataFrame:
    count = int(rng.poisson(ROWS_A_DAY))
    minutes = rng.exponential(600.0, count)
    minutes[rng.random(count) < MISSING] = np.nan
    return pd.DataFrame(
        {
            "entity_id": rng.integers(0, 600, count).astype(str),
            "at": (np.clip(rng.normal(12.0, 5.5, count), 0.0, 23.99) * HOUR).astype(np.int64),
            "amount": np.abs(rng.normal(50.0, 40.0, count)) * np.exp(rng.normal(0.0, 0.02)),
            "minutes_since_last": minutes,
        }
    )


def _simulated_machines(rng: np.random.Generator) -> pd.DataFrame:
    machine = np.repeat(np.arange(20), 24)
    return pd.DataFrame(
        {
            "entity_id": machine.astype(str),
            "at": np.tile(np.arange(24), 20) * HOUR,
            "volt": rng.normal(170.0, 15.0, 480),
            "rotate": rng.normal(450.0, 50.0, 480),
            "pressure": rng.normal(100.0, 10.0, 480),
            "vibration": rng.normal(40.0, 5.0, 480),
            "model": np.array(["model1", "model2", "model3", "model4"])[machine % 4],
        }
    )


def _simulated_retail(rng: np.random.Generator) -> pd.DataFrame:
    count = int(rng.poisson(1_500) * np.exp(rng.normal(0.0, 0.3)))
    invoice = np.sort(rng.integers(0, max(count // 20, 1), count))
    size = rng.normal(0.0, 0.7, count // 20 + 1)[invoice]
    return pd.DataFrame(
        {
            "entity_id": invoice.astype(str),
            "at": (9 * HOUR + invoice * HOUR // 12).astype(np.int64),
            "quantity": np.ceil(np.exp(1.5 + size + rng.normal(0.0, 0.8, count))),
            "unit_price": np.round(np.exp(rng.normal(0.8, 0.9, count)), 2),
            "country": rng.choice(["UK", "Germany", "France"], count, p=[0.92, 0.05, 0.03]),
        }
    )


def _simulated_posts(rng: np.random.Generator) -> pd.DataFrame:
    labels = rng.choice(["hate", "offensive", "neither"], TWEETS_A_DAY, p=[0.06, 0.77, 0.17])
    return pd.DataFrame(
        {
            "entity_id": rng.integers(0, 10_000, TWEETS_A_DAY).astype(str),
            "at": rng.integers(0, DAY, TWEETS_A_DAY),
            "length": rng.gamma(4.0, 20.0, TWEETS_A_DAY).round(),
            "exclamations": rng.poisson(1.0, TWEETS_A_DAY).astype(float),
            "capitals": rng.beta(1.0, 9.0, TWEETS_A_DAY),
            "opinion": labels,
        }
    )
