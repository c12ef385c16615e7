"""What is kept of a window of decisions: counts by model and day, and a sample of entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.monitoring.bins import ReferenceBins
from lib.monitoring.entity_sample import EntitySample
from lib.monitoring.request_columns import with_request_columns
from lib.monitoring.window import DailySketches

_MODEL = "model_version"
_BARE = ReferenceBins()


class DecisionWindow:
    """Counts decisions by the bins of the model that decided; parts are merged in any order.

    Memory does not grow with rows. Decisions of a model without a reference are counted too, but
    for their features; those of no model (fallbacks, rules without a score) are counted with those
    of `usual`.

    Args:
        bins: by model version.
        usual: version with which decisions of no model are counted.
        most_rows: of the sample.

    Attributes:
        by_model: counts by model version and day.
        sample: of whole entities, with all columns.
        without_model: decisions of no model.
    """

    def __init__(self, bins: Mapping[str, ReferenceBins], usual: str, most_rows: int) -> None:
        self._bins, self._usual = bins, usual
        parts = [part for own in bins.values() for part in own.measures]
        self._columns = {part.column for part in parts}
        self.by_model: dict[str, DailySketches] = {}
        self.sample = EntitySample(most_rows)
        self.without_model = 0

    def add(self, table: pa.Table) -> None:
        """Count decisions, rows of `lib.records.decision_table.DECISION_SCHEMA` and features."""
        if not table.num_rows:
            return
        table = with_request_columns(table, self._columns)
        self.without_model += table[_MODEL].null_count
        versions = pc.fill_null(table[_MODEL], self._usual)
        for version in pc.unique(versions).to_pylist():
            self._of(version).add(table.filter(pc.equal(versions, version)))
        self.sample.add(table)

    def merge(self, other: DecisionWindow) -> None:
        """Count what another counted."""
        for version, sketches in other.by_model.items():
            self._of(version).merge(sketches)
        self.sample.merge(other.sample)
        self.without_model += other.without_model

    @property
    def rows(self) -> Counter[str]:
        """Decisions by model version."""
        return Counter(
            {
                version: sum(sketch.rows for sketch in sketches.by_day.values())
                for version, sketches in self.by_model.items()
            }
        )

    def shares_days(self, version: str) -> bool:
        """Whether another model decided a tenth or more of any day of this one's."""
        days = self.by_model[version].by_day
        totals = {
            day: sum(
                sketches.by_day[day].rows
                for sketches in self.by_model.values()
                if day in sketches.by_day
            )
            for day in days
        }
        shares = np.array([days[day].rows / max(totals[day], 1) for day in days])
        return bool((shares < 0.9).any())

    def _of(self, version: str) -> DailySketches:
        if version not in self.by_model:
            self.by_model[version] = DailySketches(self._bins.get(version, _BARE))
        return self.by_model[version]
