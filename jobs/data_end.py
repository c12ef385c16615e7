"""Where a data set on Ray ends, however its rows are spread; see `lib.contract.end_of_data`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.end_of_data import DataEnd, end_of_data
from lib.feature.windows import DAY

if TYPE_CHECKING:
    from ray.data import Dataset


def end_of(rows: Dataset) -> DataEnd | None:
    """The end of rows by their `event_time`; None where there are none."""
    newest = rows.map_batches(_days, batch_format="pyarrow", batch_size=None).to_pandas()
    if not len(newest):
        return None
    return end_of_data(
        newest["at_max"].to_numpy(dtype=np.int64), newest["at_count"].to_numpy(dtype=np.int64)
    )


def _days(table: pa.Table) -> pa.Table:
    """Rows and newest time of each day."""
    times = table["event_time"].cast(pa.int64())
    grouped = pa.table({"day": pc.divide(times, DAY), "at": times}).group_by("day")
    return grouped.aggregate([("at", "max"), ("at", "count")])
