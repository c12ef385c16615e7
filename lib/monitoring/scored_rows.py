"""Decisions of a window with their scores, and their labels as far as these are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.monitoring.reference import MonitoringError as MonitoringError  # noqa: PLC0414

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.floating]
DAY = 86_400_000_000
_COLUMNS = ("entity_id", "event_time", "score", "label", "ripe_at", "money")


@dataclass(frozen=True)
class ScoredRows:
    """Decisions that a model scored; all arrays have one entry for each.

    Attributes:
        entity: code of the entity, the same for the same one.
        event_time: microseconds since 1970 UTC.
        score: finite; higher is more risk.
        label: 1 or 0 where it is known, between them a probability, NaN where it is not known.
        money_if_positive, money_if_negative: currency units that the decision brings where the
            label is 1 and where it is 0; None where money is not counted.
        inputs: (n, d) what the model read, NaN where missing; None where no estimate is wanted.

    Raises:
        MonitoringError: lengths differ, a score is not finite, or a label is outside 0 to 1.
    """

    entity: Codes
    event_time: Codes
    score: Floats
    label: Floats
    money_if_positive: Floats | None = None
    money_if_negative: Floats | None = None
    inputs: Matrix | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            values = getattr(self, field.name)
            if values is not None and len(values) != len(self.entity):
                raise MonitoringError(
                    f"{field.name}: expected {len(self.entity)} rows, got {len(values)}"
                )
        if not np.isfinite(self.score).all():
            bad = int((~np.isfinite(self.score)).sum())
            raise MonitoringError(f"score: expected finite numbers, got {bad} rows without")
        known = self.label[~np.isnan(self.label)]
        if len(known) and (known.min() < 0.0 or known.max() > 1.0):
            raise MonitoringError(f"label: expected 0 to 1, got {known.min():g} to {known.max():g}")

    def __len__(self) -> int:
        return len(self.entity)

    @property
    def known(self) -> Flags:
        """(n,) where the label is known."""
        return ~np.isnan(self.label)

    @property
    def days(self) -> float:
        """Days that the rows lie on, each counted as a whole."""
        return float(len(np.unique(self.event_time // DAY)))

    @cached_property
    def score_rank(self) -> Codes:
        """(n,) place of each score among the distinct ones, from 0, rising."""
        return np.unique(self.score, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def falling_by_day(self) -> Codes:
        """(n,) row numbers by day, within a day from the highest score down."""
        return np.lexsort((-self.score, self.event_time // DAY)).astype(np.int64)

    def take(self, rows: npt.ArrayLike) -> ScoredRows:
        """Some of the rows, by row number or mask."""
        chosen = np.asarray(rows)
        parts: dict[str, Any] = {}
        for field in fields(self):
            values = getattr(self, field.name)
            parts[field.name] = None if values is None else values[chosen]
        return ScoredRows(**parts)

    def labelled(self, label: Floats) -> ScoredRows:
        """The same rows with other labels (n,), their order by score kept."""
        rows = replace(self, label=label)
        rows.__dict__.update(score_rank=self.score_rank, falling_by_day=self.falling_by_day)
        return rows


def scored_rows(
    outcomes: pa.Table,
    as_of: int,
    *,
    money_if_positive: Floats | None = None,
    money_if_negative: Floats | None = None,
    inputs: Matrix | None = None,
    ripe_only: bool = True,
) -> ScoredRows:
    """Rows of `lib.business.outcomes.OUTCOME_SCHEMA`, those without a score left out.

    Args:
        outcomes: (n,) rows.
        as_of: microseconds since 1970 UTC; a label counts where `ripe_at` has come by then.
        money_if_positive: (n,) currency units were the label 1; see `money_by_label`.
        money_if_negative: (n,) currency units were the label 0.
        inputs: (n, d) of the model.
        ripe_only: False counts labels that came early as well.

    Raises:
        MonitoringError: a column is missing.
    """
    if missing := [name for name in _COLUMNS if name not in outcomes.column_names]:
        raise MonitoringError(f"outcomes: expected column {missing[0]}, got none of that name")
    label = _numbers(outcomes, "label")
    if ripe_only:
        ripe_at = outcomes["ripe_at"].cast(pa.int64()).cast(pa.float64()).to_numpy()
        with np.errstate(invalid="ignore"):
            label = np.where(ripe_at <= as_of, label, np.nan)
    entities = outcomes["entity_id"].combine_chunks().dictionary_encode()
    rows = ScoredRows(
        entity=np.asarray(entities.indices.fill_null(-1), dtype=np.int64),
        event_time=np.asarray(outcomes["event_time"].cast(pa.int64()), dtype=np.int64),
        score=np.nan_to_num(_numbers(outcomes, "score")),
        label=label,
        money_if_positive=money_if_positive,
        money_if_negative=money_if_negative,
        inputs=inputs,
    )
    return rows.take(np.asarray(outcomes["score"].is_valid()))


class PricedOutcomes(Protocol):
    """What says the money of decisions: `lib.business.outcomes.SystemOutcomes` does."""

    def money_of(self, outcomes: pa.Table, decisions: Sequence[str]) -> Floats:
        """(rows,) money of these decisions at the labels of the table, currency units."""
        ...


def money_by_label(system: PricedOutcomes, outcomes: pa.Table) -> tuple[Floats, Floats]:
    """(n,) and (n,) money of the decisions that were made, were the label 1 and were it 0.

    Args:
        system: prices decisions.
        outcomes: (n,) rows of `lib.business.outcomes.OUTCOME_SCHEMA` and what money depends on.
    """
    decisions = outcomes["decision"].to_pylist()
    positive, negative = (
        system.money_of(_with_label(outcomes, label), decisions) for label in (1.0, 0.0)
    )
    return positive, negative


def _with_label(outcomes: pa.Table, label: float) -> pa.Table:
    """The same rows, each with this label and ripe, as money is that of ripe rows only."""
    for name, value in (("label", label), ("money", 0.0)):
        index = outcomes.schema.get_field_index(name)
        values = pa.array(np.full(outcomes.num_rows, value))
        outcomes = outcomes.set_column(index, name, values)
    return outcomes


def _numbers(table: pa.Table, name: str) -> Floats:
    """(n,) float64 of a column; null is NaN."""
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
