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
    Sum,
    Unseen,
)
from lib.feature.measures import ONE, Quantity
from lib.feature.offline import compute, finish, measure, partition_columns
from lib.feature.windows import DAY, HOUR, MINUTE, SECOND, Window

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "ONE",
    "SECOND",
    "Age",
    "Category",
    "Count",
    "Derived",
    "Deviation",
    "Direct",
    "DistinctCount",
    "Feature",
    "FeatureSet",
    "Mean",
    "Quantity",
    "Rate",
    "Remembered",
    "Sum",
    "Unseen",
    "Window",
    "compute",
    "finish",
    "measure",
    "partition_columns",
]
