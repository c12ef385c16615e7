"""Rows of a service whose days differ a little: numbers, a count, a code and a category."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from lib.monitoring import ModelReference, ReferenceSketch, WindowSketch, fit_bins
from lib.monitoring.window import DAY

FIRST_DAY = 20_000
COLUMNS = (
    ("temperature", "feature_temperature"),
    ("amount", "feature_amount"),
    ("visits", "feature_visits"),
    ("code", "feature_code"),
    ("channel", "channel"),
)
Columns = dict[str, np.ndarray]
Change = Callable[[Columns], Columns | None]


def day_columns(day: int, rows: int, seed: int) -> Columns:
    """Rows of a day; each day has a shift of its own of .05 standard deviations."""
    rng = np.random.default_rng([seed, day])
    shift = rng.normal(0.0, 0.05, 3)
    hours = np.clip(rng.normal(12.0, 5.0, rows), 0.0, 23.99)
    return {
        "entity_id": np.array([f"u{code}" for code in rng.integers(0, 400, rows)], dtype=object),
        "event_time": (hours * 3.6e9).astype(np.int64) + day * DAY,
        "feature_temperature": 20.0 + 5.0 * (rng.normal(size=rows) + shift[0]),
        "feature_amount": np.exp(3.0 + rng.normal(size=rows) + shift[1]),
        "feature_visits": np.floor(np.exp(rng.normal(size=rows) + shift[2])),
        "feature_code": rng.integers(0, 4, rows).astype(float),
        "channel": rng.choice(["app", "phone", "shop", "web"], rows, p=[0.5, 0.1, 0.1, 0.3]),
    }


def table(columns: Columns) -> pa.Table:
    arrays = {name: pa.array(values) for name, values in columns.items()}
    arrays["event_time"] = pa.array(columns["event_time"], pa.timestamp("us", tz="UTC"))
    return pa.table(arrays)


def reference(days: int = 42, rows: int = 1_000, seed: int = 1) -> ModelReference:
    tables = [table(day_columns(FIRST_DAY + day, rows, seed)) for day in range(days)]
    return learnt_from(tables, COLUMNS, volume_is_served=True)


def learnt_from(
    tables: Sequence[pa.Table], columns: Sequence[tuple[str, str]], volume_is_served: bool = False
) -> ModelReference:
    """The reference of a model that learnt from tables; columns by the name of their feature."""
    sketch = ReferenceSketch(fit_bins(pa.concat_tables(tables), columns))
    for part in tables:
        sketch.add(part)
    return sketch.finish("fraud", "user_id", volume_is_served=volume_is_served)


def window(
    model: ModelReference, day: int, rows: int = 1_000, seed: int = 2, change: Change | None = None
) -> WindowSketch:
    columns = day_columns(day, rows, seed)
    if change is not None:
        columns = change(columns) or columns
    sketch = WindowSketch(model.bins, day * DAY, (day + 1) * DAY)
    sketch.add(table(columns))
    return sketch
