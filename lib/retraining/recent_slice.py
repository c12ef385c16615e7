"""The recent rows that neither model saw, as decisions with labels, so that they have a price.

Money is that of `lib.<system>.outcomes`: what each row would have brought or cost had a model
decided it by its own thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lib.business.outcomes import SystemOutcomes, column_values, microseconds, time_array
from lib.records.decision_table import DECISION_SCHEMA, FEATURE_PREFIX, LABEL_SCHEMA
from lib.retraining.comparison import (
    Comparison,
    ComparisonError,
    ModelOnRows,
    RecentRows,
    Rows,
    compare,
)

_TIMES = ("event_time", "received_at", "decided_at")
_SOURCE = "training data"


@dataclass(frozen=True)
class RecentSlice:
    """Rows that neither model saw, and what became known of them.

    Attributes:
        decisions: see `slice_decisions`.
        labels: see `slice_labels`.
        as_of: when labels were read, microseconds since 1970 UTC.
        start_us, end_us: the slice, end excluded.
    """

    decisions: pa.Table
    labels: pa.Table
    as_of: int
    start_us: int
    end_us: int


@dataclass(frozen=True)
class ScoredModel:
    """A model's answers about the rows of a slice.

    Attributes:
        version: of the model.
        scores: (rows,) calibrated; of moderation (rows, policies).
        thresholds: of its manifest, by which it decides.
        measure: of rows of the slice by number (with repeats); raises ValueError where it is not
            defined.
    """

    version: str
    scores: Any
    thresholds: Mapping[str, float] | None
    measure: Callable[[Rows], float]


def slice_decisions(
    subjects: Sequence[str],
    entities: Sequence[str],
    at_us: Rows,
    decision: str,
    requests: Sequence[str] | None = None,
    features: Mapping[str, Any] | None = None,
) -> pa.Table:
    """Rows (n,) in the form of `lib.records.decision_table`, as if nothing had been done.

    Args:
        subjects: what each row is about.
        entities: whom or what it concerns.
        at_us: (n,) event times, microseconds since 1970 UTC.
        decision: the one that does nothing.
        requests: bodies in JSON, where money depends on them.
        features: (n,) numbers by name, where money depends on them.
    """
    count = len(subjects)
    columns: dict[str, Any] = {field.name: pa.nulls(count, field.type) for field in DECISION_SCHEMA}
    columns |= {name: time_array(np.asarray(at_us, dtype=np.int64)) for name in _TIMES}
    columns["subject_id"] = pa.array(list(subjects), pa.string())
    columns["entity_id"] = pa.array(list(entities), pa.string())
    columns["decision"] = pa.repeat(pa.scalar(decision), count)
    columns["method"] = pa.repeat(pa.scalar("model"), count)
    if requests is not None:
        columns["request"] = pa.array(list(requests), pa.string())
    table = pa.table(columns).cast(DECISION_SCHEMA)
    for name, values in (features or {}).items():
        table = table.append_column(f"{FEATURE_PREFIX}{name}", pa.array(values, pa.float64()))
    return table


def slice_labels(
    subjects: Sequence[str], kind: str, values: Sequence[bool], observed_us: Rows
) -> pa.Table:
    """Labels (k,) of one kind in the form of `lib.records.decision_table.label_table`."""
    times = time_array(np.asarray(observed_us, dtype=np.int64))
    columns = {
        "subject_id": pa.array(list(subjects), pa.string()),
        "kind": pa.repeat(pa.scalar(kind), len(subjects)),
        "value": pa.array(list(values), pa.bool_()),
        "observed_at": times,
        "received_at": times,
        "source": pa.repeat(pa.scalar(_SOURCE), len(subjects)),
    }
    return pa.table(columns).cast(LABEL_SCHEMA)


def compare_on(
    recent: RecentSlice,
    outcomes: SystemOutcomes,
    challenger: ScoredModel,
    champion: ScoredModel,
    measure: str,
    seed: int,
    repeats: int,
) -> Comparison:
    """Both models on the ripe rows of a slice, in the system's measure and in money.

    Args:
        recent: rows that neither saw.
        outcomes: of the system, with its prices.
        challenger: the new model.
        champion: the present one.
        measure: name of the system's measure.
        seed: of the draws of entities.
        repeats: draws, 1 or more.

    Raises:
        ComparisonError: there are no ripe rows, or outcomes of one kind only.
    """
    if not recent.decisions.num_rows:
        raise ComparisonError(
            "no row lies after both models' training with an outcome that is known: bring newer "
            "data, or wait until outcomes ripen"
        )
    known = outcomes.outcomes(recent.decisions, recent.labels, recent.as_of)
    money = [
        outcomes.money_if(known, model.scores, model.thresholds) for model in (challenger, champion)
    ]
    ripe = np.flatnonzero(np.isfinite(money[0]) & np.isfinite(money[1]))
    rows = RecentRows(
        entities=np.array(known["entity_id"].to_pylist(), dtype=np.str_)[ripe],
        at_us=microseconds(known["event_time"])[ripe],
        positives=column_values(known, "label")[ripe] >= 0.5,
        positive=outcomes.positive,
        start_us=recent.start_us,
        end_us=recent.end_us,
    )
    own, other = (
        ModelOnRows(model.version, _on(model, ripe), values[ripe])
        for model, values in zip((challenger, champion), money, strict=True)
    )
    return compare(rows, own, other, measure, seed, repeats)


def _on(model: ScoredModel, ripe: Rows) -> Callable[[Rows], float]:
    """The measure of some rows of the slice."""
    return lambda draw: model.measure(ripe[draw])
