"""What both models said under an experiment, as Arrow, and whether it fits the drawn arms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.business.outcomes import (
    Flags,
    Ints,
    SystemOutcomes,
    column_values,
    microseconds,
    with_money,
)
from lib.experiment.exposure import Span
from lib.experiment.models import RecordedDecision, StoredExperiment

RECORDED_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), False) for name in ("subject_id", "entity_id", "arm")),
        *(
            pa.field(name, pa.string())
            for name in ("champion_version", "challenger_version", "challenger_decision", "fault")
        ),
        pa.field("event_time", pa.int64(), False),
    ]
)
"""The columns of `experiment_decisions` that a judgement needs; times are microseconds UTC."""


@dataclass(frozen=True)
class RecordedArms:
    """Decisions of an experiment beside their rows.

    Attributes:
        decisions: about entities, while it ran.
        rows: of them that have a row of the experiment.
        lost: of them that have none, whose arm is computed again: champion's, challenger's.
        otherwise: rows whose arm is not the one that the key draws.
        faults: rows of the challenger's arm in which it had no score, and the champion decided.
        challenger_rows: rows of the challenger's arm.
        other_versions: rows between other versions than the declared ones.
    """

    decisions: int
    rows: int
    lost: tuple[int, int]
    otherwise: int
    faults: int
    challenger_rows: int
    other_versions: int


def recorded_table(rows: Iterable[RecordedDecision]) -> pa.Table:
    """Rows of an experiment as `RECORDED_SCHEMA`."""
    names = RECORDED_SCHEMA.names
    values: dict[str, list[str | int | None]] = {name: [] for name in names}
    for row in rows:
        for name in names:
            values[name].append(getattr(row, name))
    return pa.table(values, schema=RECORDED_SCHEMA)


def compare_arms(
    stored: StoredExperiment, spans: tuple[Span, ...], decisions: pa.Table, recorded: pa.Table
) -> RecordedArms:
    """Compare the recorded arms with those that the key draws.

    Args:
        stored: the experiment.
        spans: its shares over time.
        decisions: `lib.records.decision_table`.
        recorded: `RECORDED_SCHEMA`.
    """
    times = microseconds(decisions["decided_at"])
    during = (times >= spans[0].since) & (times < spans[-1].until)
    during &= decisions["entity_id"].is_valid().to_numpy()
    inside, times = decisions.filter(pa.array(during)), times[during]
    drawn = _drawn(stored, spans, inside["entity_id"], times)
    rows = pc.index_in(inside["subject_id"], value_set=recorded["subject_id"].combine_chunks())
    has_row = rows.is_valid().to_numpy()
    matched = recorded.take(rows.filter(rows.is_valid()))
    in_challenger = np.asarray(pc.equal(matched["arm"], "challenger").to_numpy(), dtype=np.bool_)
    faulty = matched["fault"].is_valid().to_numpy()
    declared = stored.declaration
    other = ~_is(matched["champion_version"], declared.champion)
    other |= ~_is(matched["challenger_version"], declared.challenger)
    lost = drawn[~has_row]
    return RecordedArms(
        decisions=inside.num_rows,
        rows=int(has_row.sum()),
        lost=(int((~lost).sum()), int(lost.sum())),
        otherwise=int((in_challenger != drawn[has_row]).sum()),
        faults=int((faulty & in_challenger).sum()),
        challenger_rows=int(in_challenger.sum()),
        other_versions=int(other.sum()),
    )


def _drawn(
    stored: StoredExperiment, spans: tuple[Span, ...], entity: pa.ChunkedArray, times: Ints
) -> Flags:
    """(n,) whether the challenger was to decide, by the share at that time."""
    challenger = np.zeros(len(times), dtype=np.bool_)
    if stored.declaration.mode == "shadow":
        return challenger
    coded = entity.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    for span in spans:
        assignment = stored.assignment_at(span.share)
        arms = np.array([assignment.arm(name) == "challenger" for name in names], dtype=np.bool_)
        inside = (times >= span.since) & (times < span.until)
        challenger[inside] = arms[codes[inside]]
    return challenger


def _is(column: pa.ChunkedArray, version: str) -> Flags:
    """(n,) whether a version is this one, or is not recorded."""
    return np.asarray(pc.fill_null(pc.equal(column, version), True).to_numpy(), dtype=np.bool_)


def challenger_gains(system: SystemOutcomes, outcomes: pa.Table, recorded: pa.Table) -> pa.Table:
    """Outcomes whose money is what the challenger's decision had brought more.

    The labels are those that became known under the champion's decisions, so this is an estimate
    and no comparison of arms. Where the challenger has no decision it brings nothing more.

    Args:
        system: that prices decisions.
        outcomes: (n,) `OUTCOME_SCHEMA`.
        recorded: `RECORDED_SCHEMA`.
    """
    rows = pc.index_in(outcomes["subject_id"], value_set=recorded["subject_id"].combine_chunks())
    other = recorded["challenger_decision"].combine_chunks().take(rows.combine_chunks())
    decisions = pc.coalesce(other, outcomes["decision"].combine_chunks()).to_pylist()
    return with_money(
        outcomes, system.money_of(outcomes, decisions) - column_values(outcomes, "money")
    )
