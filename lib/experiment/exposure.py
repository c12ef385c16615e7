"""Which entities were under an experiment, in which arm, and what money their decisions brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.business.outcomes import NEVER, Flags, Floats, Ints, column_values, microseconds
from lib.experiment.effect import Past, Piece
from lib.experiment.errors import ExperimentError
from lib.experiment.models import ExperimentChange, StoredExperiment
from lib.registry.names import to_iso

DAY = 86_400_000_000


@dataclass(frozen=True)
class Span:
    """A time in which the share was the same.

    Attributes:
        since, until: microseconds since 1970 UTC; `until` is exclusive.
        share: of the entities that the challenger decides for, 0 to 1.
    """

    since: int
    until: int
    share: float


@dataclass(frozen=True)
class MoneyRows:
    """Decisions (n,) about entities, and the money that each brought or cost.

    Attributes:
        entity: (n,) position of the entity in `entities`.
        entities: their ids.
        decided_at: microseconds since 1970 UTC.
        money: currency units, NaN where not ripe.
        waits: whether more is waited for.
        without_entity: decisions that name none, and so were in no arm.
    """

    entity: Ints
    entities: pa.Array
    decided_at: Ints
    money: Floats
    waits: Flags
    without_entity: int


@dataclass(frozen=True)
class Exposure:
    """Entities under an experiment as they were known at a time.

    Attributes:
        entities: (entities,) ids.
        pieces: one for each share that the experiment had.
        past: of the entities, before it; None where nobody had any ripe outcome.
        horizon: microseconds since 1970 UTC, until which outcomes are ripe.
        is_complete: whether no outcome is waited for any more.
        first_seen: for each piece, entities first seen in it: champion's, challenger's.
        moved: entities that a raised share moved to the challenger.
        ripe_shares: share of decisions up to the horizon that are ripe, champion's, challenger's.
    """

    entities: pa.Array
    pieces: tuple[Piece, ...]
    past: Past | None
    horizon: int
    is_complete: bool
    first_seen: tuple[tuple[int, int], ...]
    moved: int
    ripe_shares: tuple[float, float]

    @property
    def days(self) -> float:
        """Days of ripe outcomes."""
        return sum(piece.days for piece in self.pieces)


def money_rows(decisions: pa.Table, outcomes: pa.Table) -> MoneyRows:
    """Decisions with their money.

    Args:
        decisions: (n,) `lib.records.decision_table`.
        outcomes: (n,) of them, `lib.business.outcomes.OUTCOME_SCHEMA`, in the same order.
    """
    is_named = decisions["entity_id"].is_valid()
    decisions, outcomes = decisions.filter(is_named), outcomes.filter(is_named)
    coded = decisions["entity_id"].combine_chunks().dictionary_encode()
    money = column_values(outcomes, "money")
    ripe_at = microseconds(outcomes["ripe_at"])
    return MoneyRows(
        entity=np.asarray(coded.indices.to_numpy(zero_copy_only=False), dtype=np.int64),
        entities=coded.dictionary,
        decided_at=microseconds(decisions["decided_at"]),
        money=money,
        waits=np.isnan(money) & (ripe_at != NEVER),
        without_entity=len(is_named) - decisions.num_rows,
    )


def share_spans(stored: StoredExperiment, changes: Sequence[ExperimentChange]) -> tuple[Span, ...]:
    """The shares of an experiment over time, from its start to its end."""
    ends = [time for time in (stored.ended_at, stored.declaration.until) if time is not None]
    end = min(ends, default=NEVER)
    shares = [(stored.started_at, stored.declaration.share)]
    for change in changes:
        if change.action == "share raised":
            shares.append((change.at, float(str(change.detail["after"]))))
    untils = [*(since for since, _ in shares[1:]), end]
    return tuple(
        Span(since, min(until, end), share)
        for (since, share), until in zip(shares, untils, strict=True)
        if since < min(until, end)
    )


def expose(rows: MoneyRows, stored: StoredExperiment, spans: Sequence[Span]) -> Exposure:
    """Draw the arms of the entities that were decided about, and sum their money.

    Every entity with a decision in the time counts, whatever became of the decision.

    Raises:
        ExperimentError: no decision falls into the experiment, or none is ripe.
    """
    start, end = spans[0].since, spans[-1].until
    during = (rows.decided_at >= start) & (rows.decided_at < end)
    ripe = ~np.isnan(rows.money)
    _require_ripe(during, ripe, rows, start, end)
    waits = bool((during & rows.waits).any())
    horizon = int(rows.decided_at[during & ripe].max()) + 1
    covered = during & (rows.decided_at < horizon)
    codes = np.unique(rows.entity[covered])
    entities = rows.entities.take(pa.array(codes))
    position = np.full(len(rows.entities), -1, dtype=np.int64)
    position[codes] = np.arange(len(codes))
    reached = [span for span in spans if span.since < horizon]
    arms = [_challengers(stored, span.share, entities) for span in reached]
    pieces = tuple(
        _piece(rows, span, arm, position, horizon) for span, arm in zip(reached, arms, strict=True)
    )
    return Exposure(
        entities=entities,
        pieces=pieces,
        past=_past(rows, start, position, len(codes)),
        horizon=horizon,
        is_complete=not waits,
        first_seen=_first_seen(rows, covered, position, reached, arms),
        moved=int((arms[-1] & ~arms[0]).sum()),
        ripe_shares=_ripe_shares(position[rows.entity[covered]], ripe[covered], arms[-1]),
    )


def halves(
    rows: MoneyRows, stored: StoredExperiment, spans: Sequence[Span]
) -> tuple[Exposure, Exposure] | None:
    """The same entities in the first and the second half of the time; None where it is short."""
    start, end = spans[0].since, spans[-1].until
    during = (rows.decided_at >= start) & (rows.decided_at < end) & ~np.isnan(rows.money)
    if not during.any():
        return None
    middle = start + (int(rows.decided_at[during].max()) - start) // 2
    first = [Span(s.since, min(s.until, middle), s.share) for s in spans if s.since < middle]
    second = [Span(max(s.since, middle), s.until, s.share) for s in spans if s.until > middle]
    try:
        return expose(rows, stored, first), expose(rows, stored, second)
    except ExperimentError:
        return None


def aligned(influence: Floats, entities: pa.Array, among: pa.Array) -> Floats:
    """Influences of entities in the order of others, 0 for those that are not among them."""
    places = np.asarray(pc.fill_null(pc.index_in(among, value_set=entities), -1).to_numpy())
    if not len(influence):
        return np.zeros(len(among))
    return np.where(places >= 0, influence[np.maximum(places, 0)], 0.0)


def _require_ripe(during: Flags, ripe: Flags, rows: MoneyRows, start: int, end: int) -> None:
    if not during.any():
        until = "now" if end == NEVER else to_iso(end)
        clocks = ""
        if len(rows.decided_at):
            first, last = to_iso(int(rows.decided_at.min())), to_iso(int(rows.decided_at.max()))
            clocks = f"; they were decided from {first} to {last}: do the clocks agree?"
        raise ExperimentError(
            f"decisions: none was decided in the experiment, from {to_iso(start)} to "
            f"{until}{clocks}"
        )
    if not (during & ripe).any():
        raise ExperimentError(
            f"decisions: {int(during.sum()):,} are in the experiment, but no outcome is ripe yet; "
            "judge later, when labels had time to come"
        )


def _challengers(stored: StoredExperiment, share: float, entities: pa.Array) -> Flags:
    assignment = stored.assignment_at(share)
    return np.array(
        [assignment.arm(entity) == "challenger" for entity in entities.to_pylist()], dtype=np.bool_
    )


def _piece(rows: MoneyRows, span: Span, arm: Flags, position: Ints, horizon: int) -> Piece:
    until = min(span.until, horizon)
    inside = (rows.decided_at >= span.since) & (rows.decided_at < until) & ~np.isnan(rows.money)
    money = np.bincount(position[rows.entity[inside]], rows.money[inside], minlength=len(arm))
    return Piece((until - span.since) / DAY, span.share, arm, money.astype(np.float64))


def _past(rows: MoneyRows, start: int, position: Ints, count: int) -> Past | None:
    earlier = (rows.decided_at < start) & ~np.isnan(rows.money) & (position[rows.entity] >= 0)
    if not earlier.any():
        return None
    places = position[rows.entity[earlier]]
    money = np.bincount(places, rows.money[earlier], minlength=count)
    known = np.bincount(places, minlength=count) > 0
    days = (start - int(rows.decided_at[earlier].min())) / DAY
    return Past(days, np.where(known, money, np.nan))


def _first_seen(
    rows: MoneyRows, covered: Flags, position: Ints, spans: Sequence[Span], arms: Sequence[Flags]
) -> tuple[tuple[int, int], ...]:
    first = np.full(len(arms[0]), NEVER, dtype=np.int64)
    np.minimum.at(first, position[rows.entity[covered]], rows.decided_at[covered])
    counts = []
    for span, arm in zip(spans, arms, strict=True):
        seen_first = (first >= span.since) & (first < span.until)
        tally = Counter(arm[seen_first].tolist())
        counts.append((tally[False], tally[True]))
    return tuple(counts)


def _ripe_shares(entity: Ints, ripe: Flags, arm: Flags) -> tuple[float, float]:
    in_challenger = arm[entity]
    shares = [ripe[mask].mean() if mask.any() else 1.0 for mask in (~in_challenger, in_challenger)]
    return float(shares[0]), float(shares[1])
