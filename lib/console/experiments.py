"""Experiments: their arms, whether these are even, money against its bound, and what ended them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lib.console.chart import Chart, draw
from lib.console.source import SystemSource
from lib.console.system_records import TrialCount
from lib.experiment.assignment import ARMS
from lib.experiment.exposure import Span, share_spans
from lib.experiment.looks import PastLook, recorded_looks
from lib.experiment.models import ExperimentChange, StoredExperiment
from lib.experiment.ratio_check import RatioCheck, check_ratio

_GUARDRAILS = {
    "fault_share": "challenger without a usable score, share of its calls",
    "blocked_increase": "blocks more often than the champion, difference of shares",
    "reviewed_increase": "sends more to people than the champion, difference of shares",
    "p99_ms": "99th percentile of the challenger's time to a score, ms",
    "p99_increase_ms": "99th percentile of answers in its arm above the champion's, ms",
}


@dataclass(frozen=True)
class ExperimentSummary:
    """An experiment in one line.

    Attributes:
        stored: the experiment.
        sentence: of the last look at its outcomes; "" before the first.
    """

    stored: StoredExperiment
    sentence: str


@dataclass(frozen=True, slots=True)
class ArmSize:
    """What one arm has had.

    Attributes:
        arm: `champion` or `challenger`.
        entities: first seen in this arm.
        decisions: answered by it.
        faults: of them, without a usable score of the challenger.
    """

    arm: str
    entities: int
    decisions: int
    faults: int


@dataclass(frozen=True, slots=True)
class DecisionPair:
    """What both models decided about subjects.

    Attributes:
        champion, challenger: their decisions; None is no decision.
        rows: subjects about which they decided so.
    """

    champion: str | None
    challenger: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A guardrail.

    Attributes:
        text: what it watches, in words.
        most: the largest value that it allows, in the unit that `text` names.
    """

    text: str
    most: float


@dataclass(frozen=True)
class ExperimentPage:
    """All that the page of an experiment shows.

    Attributes:
        stored: the experiment.
        arms: their sizes.
        ratio: whether these are as declared; None in shadow mode, and without entities.
        pairs: what both models decided, the most frequent first.
        faults: of the challenger, by kind, the most frequent first.
        challenger_ms: mean time to the challenger's score, milliseconds; None without one.
        looks: at its outcomes, the earliest first.
        sentence: of the last look; "" before the first.
        money: the gain a week with its interval over the days; None before the first look.
        evidence: the estimate in standard errors against its bound; None likewise.
        bounds: its guardrails.
        changes: its audit, the newest first.
    """

    stored: StoredExperiment
    arms: tuple[ArmSize, ...]
    ratio: RatioCheck | None
    pairs: tuple[DecisionPair, ...]
    faults: tuple[tuple[str, int], ...]
    challenger_ms: float | None
    looks: tuple[PastLook, ...]
    sentence: str
    money: Chart | None
    evidence: Chart | None
    bounds: tuple[Bound, ...]
    changes: tuple[ExperimentChange, ...]

    @property
    def rows(self) -> int:
        """Subjects in all."""
        return sum(arm.decisions for arm in self.arms)


def list_experiments(source: SystemSource) -> list[ExperimentSummary]:
    """Every experiment of a system, the newest first."""
    records = source.records
    return [
        ExperimentSummary(stored, last_sentence(records.changes(stored.id)))
        for stored in records.list_of_system(source.system)
    ]


def read_experiment(source: SystemSource, experiment_id: str) -> ExperimentPage:
    """Read an experiment.

    Raises:
        ExperimentError: there is none of that id.
    """
    records = source.records
    stored, changes = records.find(experiment_id), records.changes(experiment_id)
    spans = share_spans(stored, changes)
    entities = [
        (piece.get("champion", 0), piece.get("challenger", 0))
        for piece in records.count_entities(experiment_id, spans)
    ]
    trials, looks = records.count_trials(experiment_id), recorded_looks(changes)
    declared = stored.declaration
    return ExperimentPage(
        stored=stored,
        arms=tuple(_arms(trials, entities)),
        ratio=None if declared.mode == "shadow" else _ratio(entities, spans),
        pairs=_pairs(trials),
        faults=_faults(trials),
        challenger_ms=_mean_ms(trials),
        looks=looks,
        sentence=last_sentence(changes),
        money=_money(looks),
        evidence=_evidence(looks),
        bounds=tuple(
            Bound(text, bound)
            for name, text in _GUARDRAILS.items()
            if (bound := getattr(declared.guardrails, name)) is not None
        ),
        changes=tuple(reversed(changes)),
    )


def last_sentence(changes: Sequence[ExperimentChange]) -> str:
    """What the last look at an experiment came to; "" before the first."""
    judged = [change for change in changes if change.action == "judged"]
    return str(judged[-1].detail.get("sentence", "")) if judged else ""


def _arms(trials: Sequence[TrialCount], entities: Sequence[tuple[int, int]]) -> list[ArmSize]:
    sizes = []
    for number, arm in enumerate(ARMS):
        own = [trial for trial in trials if trial.arm == arm]
        faults = sum(trial.rows for trial in own if trial.fault is not None)
        first_seen = sum(pair[number] for pair in entities)
        sizes.append(ArmSize(arm, first_seen, sum(trial.rows for trial in own), faults))
    return sizes


def _ratio(entities: Sequence[tuple[int, int]], spans: Sequence[Span]) -> RatioCheck | None:
    if not sum(map(sum, entities)):
        return None
    return check_ratio(entities, [span.share for span in spans])


def _pairs(trials: Sequence[TrialCount]) -> tuple[DecisionPair, ...]:
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for trial in trials:
        counts[trial.champion_decision, trial.challenger_decision] += trial.rows
    return tuple(DecisionPair(*pair, rows) for pair, rows in counts.most_common())


def _faults(trials: Sequence[TrialCount]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for trial in trials:
        if trial.fault is not None:
            counts[trial.fault] += trial.rows
    return tuple(counts.most_common())


def _mean_ms(trials: Sequence[TrialCount]) -> float | None:
    timed = [(trial.challenger_ms, trial.rows) for trial in trials if trial.challenger_ms]
    rows = sum(count for _, count in timed)
    return sum(ms * count for ms, count in timed) / rows if rows else None


def _money(looks: Sequence[PastLook]) -> Chart | None:
    limits = [look.low for look in looks], [look.high for look in looks]
    gains = {"gain a week": [look.gain for look in looks]}
    days = [look.days for look in looks]
    return draw("Money a week, with its interval", days, gains, "days of final outcomes", limits)


def _evidence(looks: Sequence[PastLook]) -> Chart | None:
    curves = {
        "estimate": [look.z for look in looks],
        "bound above": [look.bound for look in looks],
        "bound below": [-look.bound for look in looks],
    }
    days = [look.days for look in looks]
    title = "Estimate against its bound, in standard errors"
    return draw(title, days, curves, "days of final outcomes")
