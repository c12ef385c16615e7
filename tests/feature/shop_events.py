"""Orders of a shop with columns that may be missing, and the packaged features of its system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from lib.feature import (
    DAY,
    Count,
    Direct,
    Feature,
    FeatureSet,
    OnlineFeatures,
    Quantity,
    SqliteStore,
    Window,
    events,
    replay,
)
from lib.feature.exact_arithmetic import ratio, square_root
from lib.feature.feature_library import (
    FeatureLibrary,
    NamedQuantity,
    NamedRecord,
    SquaredQuantity,
)

TIME = pa.timestamp("us", "UTC")


def amount(value):
    return value * 1.0


BASE = FeatureSet(
    name="shop",
    version=1,
    features=(
        Direct("amount", "EUR", ("price",), amount),
        Feature("orders_by_user_7d", "orders", ("user",), Count(), Window(7 * DAY, DAY)),
    ),
    id_column="id",
    facts=("fraud",),
)
COLUMNS = {
    "user": "category",
    "channel": "category",
    "device": "category",
    "basket": "number",
    "guest": "flag",
    "price": "number",
}


def as_integer(price):
    return price.astype(np.int64) if isinstance(price, np.ndarray) else int(price)


def is_large(price):
    flag = price >= 50.0
    return flag.astype(np.int64) if isinstance(flag, np.ndarray) else int(flag)


def share(part, total):
    """`part / total`; missing where there is no total."""
    return ratio(part, total)


def root(number):
    """Square root of a number that is not negative."""
    return square_root(number)


REVENUE = Quantity("revenue", ("price",), as_integer)
LARGE = Quantity("large", ("price",), is_large)
_SQUARES = Quantity("revenue_squared", ("price",), as_integer, squared=True)
LIBRARY = FeatureLibrary(
    formulas={"share": share, "root": root},
    column_formulas={"amount": amount},
    quantities={
        "revenue": NamedQuantity(
            REVENUE, "what was paid, EUR", squared=SquaredQuantity(REVENUE, _SQUARES, 1.0)
        ),
        "large": NamedQuantity(LARGE, "1 of an order of 50 EUR or more"),
    },
    records={"order": NamedRecord((REVENUE,), LARGE, "the newest large order")},
    packaged_only=frozenset(("root",)),
    lasting_keys=frozenset([("user",)]),
)


def table_of(seed: int, count: int) -> pa.Table:
    """Events in their order, a fifth of which become known as fraud."""
    draw = np.random.default_rng(seed)

    def texts(name: str, kinds: int) -> pa.Array:
        absent = draw.random(count) < 0.1
        return pa.array(
            [
                None if a else f"{name}{k}"
                for a, k in zip(absent, draw.integers(0, kinds, count), strict=True)
            ]
        )

    times = np.sort(draw.integers(0, 40 * DAY, count))
    marked = draw.random(count) < 0.2
    since = times + draw.integers(0, 10 * DAY, count)
    return pa.table(
        {
            "id": [f"e{k:04d}" for k in range(count)],
            "event_time": pa.array(times).cast(TIME),
            "user": texts("u", 5),
            "channel": texts("c", 3),
            "device": texts("d", 6),
            "basket": pa.array(draw.normal(0, 1000, count), mask=draw.random(count) < 0.3),
            "guest": pa.array(draw.integers(0, 2, count) * 1.0, mask=draw.random(count) < 0.3),
            "price": pa.array(draw.integers(0, 100, count) * 1.0),
            "fraud_from": pa.array(since, mask=~marked).cast(TIME),
            "fraud_until": pa.nulls(count, TIME),
        }
    )


def online_rows(features: FeatureSet, table: pa.Table, file: Path) -> Iterator[dict[str, float]]:
    """Values of each event as profiles give them."""
    online, store = OnlineFeatures(features), SqliteStore(file)
    for step in replay(online, events(table)):
        reply = store.exchange(step.exchange)
        if step.event is not None:
            yield online.read(step.event, reply).values
    store.close()
