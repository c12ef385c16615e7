"""Judges an experiment: the gain, the bound of this look, and what speaks against believing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from lib.business.outcomes import SystemOutcomes, microseconds
from lib.experiment.effect import (
    WINSOR_QUANTILE,
    Effect,
    look_correlation,
    measure_effect,
    measure_paired,
)
from lib.experiment.errors import ExperimentError
from lib.experiment.exposure import (
    DAY,
    Exposure,
    MoneyRows,
    Span,
    aligned,
    expose,
    money_rows,
    share_spans,
)
from lib.experiment.looks import LookTime, PastLook, look_bound, recorded_looks, win_probability
from lib.experiment.models import ExperimentChange, StoredExperiment
from lib.experiment.notes import notes_on
from lib.experiment.ratio_check import RatioCheck, check_ratio
from lib.experiment.recorded import RecordedArms, challenger_gains, compare_arms
from lib.experiment.verdict import Evidence, Verdict, WeeklyGain, verdict_on
from lib.registry.names import to_iso

_WEEK = 7.0


@dataclass(frozen=True)
class ExperimentRecords:
    """Everything that is known of an experiment.

    Attributes:
        stored: the experiment.
        changes: its audit.
        decisions: (n,) of its time and, for CUPED, of the time before, `decision_table`.
        labels: `label_table`.
        recorded: what both models said, `lib.experiment.recorded.RECORDED_SCHEMA`.
    """

    stored: StoredExperiment
    changes: Sequence[ExperimentChange]
    decisions: pa.Table
    labels: pa.Table
    recorded: pa.Table


@dataclass(frozen=True)
class Judgement:
    """What a look at an experiment shows.

    Attributes:
        experiment: that was judged.
        looks: all so far, this one last.
        is_new: whether outcomes became ripe since the last look; else nothing is recorded.
        effect: the gain per entity and day.
        unclipped: money a week without winsorising.
        gain: money a week.
        exposure: the entities.
        arms: decisions beside their rows.
        ratio: of the arms; None in shadow mode.
        verdict: the sentence.
        evidence: that it rests on.
        notes: what to know before believing it, in sentences.
    """

    experiment: StoredExperiment
    looks: tuple[PastLook, ...]
    is_new: bool
    effect: Effect
    unclipped: float
    gain: WeeklyGain
    exposure: Exposure
    arms: RecordedArms
    ratio: RatioCheck | None
    verdict: Verdict
    evidence: Evidence
    notes: tuple[str, ...]

    def detail(self) -> dict[str, Any]:
        """What the audit keeps of it; `recorded_looks` reads it."""
        return {
            "look": asdict(self.looks[-1]),
            "action": self.verdict.action,
            "sentence": self.verdict.sentence,
        }


@dataclass(frozen=True)
class Judge:
    """Judges experiments of a system.

    Attributes:
        outcomes: of the system, with its prices.
        currency: of money, its code.
        quantile: of winsorising.
    """

    outcomes: SystemOutcomes
    currency: str = "USD"
    quantile: float = WINSOR_QUANTILE

    def judge(self, known: ExperimentRecords, as_of: int) -> Judgement:
        """Look at an experiment.

        Args:
            known: of the experiment.
            as_of: microseconds since 1970 UTC; later decisions and labels do not count.

        Raises:
            ExperimentError: there are no decisions or no ripe outcomes, or an arm is empty.
        """
        stored, spans = known.stored, share_spans(known.stored, known.changes)
        past = recorded_looks(known.changes)
        _require_forward(past, as_of)
        rows, exposure, effect = self._measure(known, spans, as_of)
        time = self._time(known, spans, past, exposure, effect, as_of)
        is_new = not past or time.days > past[-1].days + 1e-9 or time.fraction > past[-1].fraction
        times = [*(look.time for look in past), *([time] if is_new else [])]
        bound = look_bound(stored.declaration, times)
        evidence = _evidence(stored, effect, exposure, times, bound, self.currency)
        ratio = _ratio(stored, exposure, spans)
        verdict = verdict_on(evidence, ratio)
        look = _look(as_of, time, evidence, verdict)
        arms = compare_arms(stored, spans, _decided(known, as_of), known.recorded)
        unclipped = self._effect(stored, exposure, quantile=1.0).per_day
        judgement = Judgement(
            stored, (*past, look) if is_new else past, is_new, effect,
            unclipped * _WEEK * len(exposure.entities), evidence.gain, exposure, arms, ratio,
            verdict, evidence, notes=(),
        )  # fmt: skip
        notes = notes_on(judgement, past, rows, spans)
        return replace(judgement, notes=notes)

    def _measure(
        self, known: ExperimentRecords, spans: tuple[Span, ...], as_of: int
    ) -> tuple[MoneyRows, Exposure, Effect]:
        """The entities and the gain as they were known at a time."""
        decisions = _decided(known, as_of)
        if decisions.num_rows == 0:
            system = known.stored.declaration.system
            raise ExperimentError(f"decisions: there are none of {system} until {to_iso(as_of)}")
        outcomes = self.outcomes.outcomes(decisions, known.labels, as_of)
        if known.stored.declaration.mode == "shadow":
            outcomes = challenger_gains(self.outcomes, outcomes, known.recorded)
        rows = money_rows(decisions, outcomes)
        exposure = expose(rows, known.stored, spans)
        return rows, exposure, self._effect(known.stored, exposure, self.quantile)

    def _effect(self, stored: StoredExperiment, exposure: Exposure, quantile: float) -> Effect:
        if stored.declaration.mode == "shadow":
            return measure_paired(exposure.pieces, quantile)
        return measure_effect(exposure.pieces, exposure.past, quantile)

    def _time(
        self,
        known: ExperimentRecords,
        spans: tuple[Span, ...],
        past: tuple[PastLook, ...],
        exposure: Exposure,
        effect: Effect,
        as_of: int,
    ) -> LookTime:
        """When this look is; its correlation is that with the last look as it was then."""
        correlation = 0.0
        if past:
            _, earlier, then = self._measure(known, spans, past[-1].as_of)
            before = aligned(then.influence, earlier.entities, exposure.entities)
            correlation = look_correlation(before, effect.influence)
        fraction = _fraction(spans, exposure, as_of)
        return LookTime(exposure.days, fraction, correlation)


def _require_forward(past: Sequence[PastLook], as_of: int) -> None:
    if past and as_of < past[-1].as_of:
        raise ExperimentError(
            f"as_of: expected no earlier than the last look ({to_iso(past[-1].as_of)}), got "
            f"{to_iso(as_of)}; what is known only grows"
        )


def _decided(known: ExperimentRecords, as_of: int) -> pa.Table:
    times = microseconds(known.decisions["decided_at"])
    return known.decisions.filter(pa.array(times <= as_of))


def _fraction(spans: Sequence[Span], exposure: Exposure, as_of: int) -> float:
    """Of the planned time that ripe outcomes cover; 1 where no more is to come."""
    end = spans[-1].until
    if as_of >= end and exposure.is_complete:
        return 1.0
    planned = (end - spans[0].since) / DAY
    return min(exposure.days / planned, 1.0 - 1e-6)


def _ratio(
    stored: StoredExperiment, exposure: Exposure, spans: Sequence[Span]
) -> RatioCheck | None:
    if stored.declaration.mode == "shadow":
        return None
    shares = [span.share for span in spans][: len(exposure.first_seen)]
    return check_ratio(exposure.first_seen, shares)


def _evidence(
    stored: StoredExperiment,
    effect: Effect,
    exposure: Exposure,
    times: Sequence[LookTime],
    bound: float,
    currency: str,
) -> Evidence:
    declared = stored.declaration
    weekly = _WEEK * len(exposure.entities)
    margin = bound * effect.standard_error
    limits = (weekly * (effect.per_day - margin), weekly * (effect.per_day + margin))
    gain = WeeklyGain(weekly * effect.per_day, *limits, 1.0 - declared.alpha, currency)
    is_last = times[-1].fraction >= 1.0
    winning = None
    if declared.smallest_gain and declared.until and not is_last and effect.standard_error > 0.0:
        at_end = weekly * effect.standard_error * times[-1].fraction ** 0.5
        drift = declared.smallest_gain / at_end
        winning = win_probability(declared, times, effect.z, drift)
    return Evidence(
        gain,
        effect.z,
        bound,
        is_last,
        winning,
        declared.smallest_gain,
        declared.until,
        declared.mode,
    )


def _look(as_of: int, time: LookTime, evidence: Evidence, verdict: Verdict) -> PastLook:
    gain = evidence.gain
    measured = (gain.estimate, gain.low, gain.high, evidence.z, evidence.bound)
    return PastLook(as_of, time.days, time.fraction, time.correlation, *measured, verdict.action)
