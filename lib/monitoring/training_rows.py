"""What a model remembers, from the arrays that a training holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.monitoring.bins import ReferenceBins, fit_bins
from lib.monitoring.reference import ModelReference
from lib.monitoring.reference_sketch import LABEL, UNSEEN_SCORE, ReferenceSketch
from lib.monitoring.window import DAY, ENTITY, TIME
from lib.records.decision_table import FEATURE_PREFIX

_SAMPLE = 20_000
_NEWEST_DAYS = 90


@dataclass(frozen=True)
class RowBlock:
    """Rows of a training; arrays of equal length, views where they can be.

    Attributes:
        matrix: (n, features), NaN missing.
        at_us: (n,) event times, microseconds since 1970 UTC.
        entities: (n,) identifiers or codes of entities.
        labels: (n,) 1, 0, NaN where unknown or not yet ripe; None where there are none.
        scores: name of the measure and its column, e.g. `score` -> (n,), distributed as those of
            decisions: of rows that did not teach the model, or of the served model itself.
        unseen_scores: (n,) of models that did not learn from the row, for calibration, where
            `scores` are of a model that did; None where `scores` serve both.
        texts: name of the measure -> (n,) texts or None, e.g. the language of posts.
        columns: column of decisions by measure, where it is not the measure's name; a path into
            the request or the answer as in `lib.monitoring.request_columns`.
    """

    matrix: npt.NDArray[np.floating]
    at_us: npt.NDArray[np.int64]
    entities: npt.NDArray[np.generic]
    labels: npt.NDArray[np.float64] | None = None
    scores: dict[str, npt.NDArray[np.float64]] | None = None
    texts: Mapping[str, npt.NDArray[np.object_]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    unseen_scores: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.at_us)

    def take(self, rows: npt.NDArray[np.int64]) -> RowBlock:
        """Some of the rows."""
        return RowBlock(
            self.matrix[rows],
            self.at_us[rows],
            self.entities[rows],
            None if self.labels is None else self.labels[rows],
            {name: values[rows] for name, values in (self.scores or {}).items()} or None,
            {name: values[rows] for name, values in self.texts.items()},
            self.columns,
            None if self.unseen_scores is None else self.unseen_scores[rows],
        )

    def table(self, names: Sequence[str]) -> pa.Table:
        """Columns as those of decisions (`lib.records.decision_table`)."""
        columns = {
            ENTITY: pa.array(self.entities),
            TIME: pa.array(self.at_us, pa.timestamp("us", tz="UTC")),
        }
        for column, name in enumerate(names):
            values = np.asarray(self.matrix[:, column], dtype=np.float64)
            columns[f"{FEATURE_PREFIX}{name}"] = pa.array(values)
        if self.labels is not None:
            columns[LABEL] = pa.array(self.labels)
        if self.unseen_scores is not None:
            columns[UNSEEN_SCORE] = pa.array(self.unseen_scores)
        columns |= {self.columns.get(name, name): pa.array(own) for name, own in self.measures()}
        return pa.table(columns)

    def measures(self) -> list[tuple[str, pa.Array]]:
        """Scores and texts with their names."""
        scores = [(name, pa.array(values)) for name, values in (self.scores or {}).items()]
        return [*scores, *((name, pa.array(own, pa.string())) for name, own in self.texts.items())]


def remember(
    system: str,
    entity: str,
    names: Sequence[str],
    blocks: Sequence[RowBlock],
    *,
    volume_is_served: bool,
    hours_are_chosen: bool = False,
) -> ModelReference:
    """The reference of a model; rows are counted day by day, so memory stays that of the arrays.

    Args:
        system: e.g. `fraud`.
        entity: name of the entity, e.g. `user_id`.
        names: of the features, in order of the columns of matrices.
        blocks: rows that taught the model, and rows with scores.
        volume_is_served: whether the service decides about as many rows a day.
        hours_are_chosen: whether the training chose at which hours its rows are; False for events.

    Scores and texts without any value are left out: nothing can be compared with them.

    Raises:
        MonitoringError: there are no rows, or more features than fit.
    """
    parts = fit_bins(_sample(names, blocks), _columns(names)).measures
    others = {name: (block, values) for block in blocks for name, values in block.measures()}
    for name, (block, values) in others.items():
        if values.null_count < len(values):
            column = block.columns.get(name, name)
            parts += fit_bins(pa.table({column: values}), [(name, column)]).measures
    sketch = ReferenceSketch(ReferenceBins(measures=parts))
    newest = max((int(block.at_us.max()) // DAY for block in blocks if len(block)), default=0)
    for block in blocks:
        for day in _days(block, newest - _NEWEST_DAYS):
            sketch.add(day.table(names))
    return sketch.finish(
        system, entity, volume_is_served=volume_is_served, hours_are_chosen=hours_are_chosen
    )


def _columns(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, f"{FEATURE_PREFIX}{name}") for name in names]


def _sample(names: Sequence[str], blocks: Sequence[RowBlock]) -> pa.Table:
    """About 20,000 rows, evenly spaced."""
    step = max(1, sum(map(len, blocks)) // _SAMPLE)
    tables = [block.take(np.arange(0, len(block), step)).table(names) for block in blocks]
    columns = [column for _, column in _columns(names)]
    return pa.concat_tables([part.select(columns) for part in tables])


def _days(block: RowBlock, after: int) -> Iterator[RowBlock]:
    """The rows of each day later than `after`."""
    days = block.at_us // DAY
    order = np.argsort(days, kind="stable")
    present, starts = np.unique(days[order], return_index=True)
    for day, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
        if day > after:
            yield block.take(rows)
