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
    IsFirstSeen,
    LabelledStreak,
    LastValue,
    Mean,
    Rate,
    Sum,
)
from lib.feature.measures import Quantity
from lib.feature.offline import TableFeatures, compute, finish, measure, partition_columns
from lib.feature.online import OnlineFeatures
from lib.feature.profile_exchange import ProfileReply, ProfileRequest
from lib.feature.redis_store import RedisStore
from lib.feature.replay import events, replay
from lib.feature.sqlite_store import SqliteStore
from lib.feature.store import AsyncProfileStore, ProfileStore, ReceiptConflictError, StoreError
from lib.feature.update_plan import Event
from lib.feature.windows import DAY, HOUR, MINUTE, SECOND, Window

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "Age",
    "AsyncProfileStore",
    "Category",
    "Count",
    "Derived",
    "Deviation",
    "Direct",
    "DistinctCount",
    "Event",
    "Feature",
    "FeatureSet",
    "IsFirstSeen",
    "LabelledStreak",
    "LastValue",
    "Mean",
    "OnlineFeatures",
    "ProfileReply",
    "ProfileRequest",
    "ProfileStore",
    "Quantity",
    "Rate",
    "ReceiptConflictError",
    "RedisStore",
    "SqliteStore",
    "StoreError",
    "Sum",
    "TableFeatures",
    "Window",
    "compute",
    "events",
    "finish",
    "measure",
    "partition_columns",
    "replay",
]
