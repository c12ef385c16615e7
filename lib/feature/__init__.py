"""Features in time: declared once, computed offline over tables and online over profiles."""

from lib.feature.declaration import (
    Age,
    Category,
    Count,
    Derived,
    Deviation,
    Direct,
    DistinctCount,
    Feature,
    FeatureSet,
    Mean,
    Rate,
    Remembered,
    SettledStreak,
    Sum,
    Unseen,
)
from lib.feature.measures import ONE, Quantity
from lib.feature.offline import compute, finish, measure, partition_columns
from lib.feature.online import Observation, OnlineFeatures
from lib.feature.planning import Event
from lib.feature.profile import Exchange, Reply
from lib.feature.redis_store import AsyncRedisStore, RedisStore
from lib.feature.replay import events, replay
from lib.feature.sqlite_store import SqliteStore
from lib.feature.store import AsyncProfileStore, ProfileStore, ReceiptConflictError, StoreError
from lib.feature.windows import DAY, HOUR, MINUTE, SECOND, Window

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "ONE",
    "SECOND",
    "Age",
    "AsyncProfileStore",
    "AsyncRedisStore",
    "Category",
    "Count",
    "Derived",
    "Deviation",
    "Direct",
    "DistinctCount",
    "Event",
    "Exchange",
    "Feature",
    "FeatureSet",
    "Mean",
    "Observation",
    "OnlineFeatures",
    "ProfileStore",
    "Quantity",
    "Rate",
    "ReceiptConflictError",
    "RedisStore",
    "Remembered",
    "Reply",
    "SettledStreak",
    "SqliteStore",
    "StoreError",
    "Sum",
    "Unseen",
    "Window",
    "compute",
    "events",
    "finish",
    "measure",
    "partition_columns",
    "replay",
]
