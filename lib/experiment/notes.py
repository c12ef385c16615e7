"""What to know before a verdict is believed: novelty, contamination, ripeness, lost rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lib.experiment.effect import measure_effect
from lib.experiment.errors import ExperimentError
from lib.experiment.exposure import MoneyRows, Span, aligned, halves
from lib.experiment.looks import PastLook
from lib.experiment.recorded import RecordedArms
from lib.experiment.verdict import DECIDED, amount_text
from lib.registry.names import to_iso

if TYPE_CHECKING:
    from lib.experiment.judge import Judgement

_NOVEL = 2.5
_UNEVENLY_RIPE = 0.02
_WEEK = 7.0


def notes_on(
    judgement: Judgement, past: Sequence[PastLook], rows: MoneyRows, spans: Sequence[Span]
) -> tuple[str, ...]:
    """Sentences on what weakens a judgement, or nothing.

    Args:
        judgement: without notes.
        past: looks before it.
        rows: decisions with their money.
        spans: shares over time.
    """
    parts = (
        _decided_before(past),
        _ended(judgement),
        _ripeness(judgement),
        _contamination(judgement.arms),
        _moved(judgement),
        _novelty(judgement, rows, spans),
        _tail(judgement),
        _without_entity(rows),
    )
    return tuple(note for part in parts for note in part)


def _decided_before(past: Sequence[PastLook]) -> Iterator[str]:
    for look in past:
        if look.action in DECIDED:
            yield (
                f"The look of {to_iso(look.as_of)[:10]} had already decided: {look.action}. That "
                "decision stands; later looks only describe."
            )
            return


def _ended(judgement: Judgement) -> Iterator[str]:
    stored = judgement.experiment
    if stored.ended_at is not None:
        yield (
            f"The experiment was ended on {to_iso(stored.ended_at)} by {stored.ended_by}: "
            f"{stored.reason}."
        )


def _ripeness(judgement: Judgement) -> Iterator[str]:
    champion, challenger = judgement.exposure.ripe_shares
    if abs(champion - challenger) > _UNEVENLY_RIPE:
        yield (
            f"Outcomes are ripe for {champion:.1%} of the champion's decisions and for "
            f"{challenger:.1%} of the challenger's: a model that blocks what would have got a "
            "label hides its own outcomes."
        )


def _contamination(arms: RecordedArms) -> Iterator[str]:
    lost = sum(arms.lost)
    if lost:
        yield (
            f"{lost:,} of {arms.decisions:,} decisions have no row of the experiment "
            f"({arms.lost[0]:,} of the champion's arm, {arms.lost[1]:,} of the challenger's); "
            "their arm was computed again from the key."
        )
    if arms.otherwise:
        yield (
            f"Contamination: {arms.otherwise:,} of {arms.rows:,} rows were decided by the other "
            "arm's model than the drawn one."
        )
    if arms.faults:
        yield (
            f"Contamination: the challenger had no score for {arms.faults:,} of "
            f"{arms.challenger_rows:,} decisions of its arm, where the champion decided; the "
            "gain is that of the challenger with these faults."
        )
    if arms.other_versions:
        yield (
            f"{arms.other_versions:,} of {arms.rows:,} rows are of other versions than the "
            "declared ones: an alias moved during the experiment."
        )


def _moved(judgement: Judgement) -> Iterator[str]:
    if judgement.exposure.moved:
        yield (
            f"{judgement.exposure.moved:,} entities moved to the challenger when its share was "
            "raised; each time of one share is compared within itself."
        )


def _novelty(judgement: Judgement, rows: MoneyRows, spans: Sequence[Span]) -> Iterator[str]:
    if judgement.experiment.declaration.mode == "shadow":
        return
    parts = halves(rows, judgement.experiment, spans)
    if parts is None:
        return
    try:
        # without the time before, which for the second half was under the experiment itself
        first, second = (measure_effect(part.pieces) for part in parts)
    except ExperimentError:
        return
    everybody = judgement.exposure.entities
    weekly = _WEEK * len(everybody)
    earlier = aligned(first.influence, parts[0].entities, everybody)
    later = aligned(second.influence, parts[1].entities, everybody)
    error = float(np.linalg.norm(later - earlier))
    change = second.per_day - first.per_day
    if error > 0.0 and abs(change) > _NOVEL * error:
        gains = [amount_text(weekly * half.per_day) for half in (first, second)]
        currency = judgement.gain.currency
        yield (
            f"Novelty: the gain was {gains[0]} {currency} a week in the first half of the time and "
            f"{gains[1]} in the second, more apart than chance explains; the later one says more "
            "about the future."
        )


def _tail(judgement: Judgement) -> Iterator[str]:
    gain, unclipped = judgement.gain, judgement.unclipped
    if (unclipped > 0.0) != (gain.estimate > 0.0) and judgement.effect.clipped:
        yield (
            f"Without winsorising the gain is {amount_text(unclipped)} {gain.currency} a week, of "
            f"the opposite sign: {judgement.effect.clipped:,} entities with extreme amounts decide "
            "it."
        )


def _without_entity(rows: MoneyRows) -> Iterator[str]:
    if rows.without_entity:
        yield f"{rows.without_entity:,} decisions name no entity and are in no arm."
