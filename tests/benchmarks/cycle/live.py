"""A day of decisions under an experiment: arms, what both models say, guardrails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lib.experiment.assignment import Arm
from lib.experiment.models import ExperimentDecision, StoredExperiment
from serve.framework.guardrail import Breach, GuardrailMonitor
from tests.benchmarks.cycle.world import Answers, Subjects

_SECONDS = 1_000_000
_LATENCY_MS = 5.0


@dataclass
class LiveExperiment:
    """An experiment as a service lets it run, with its guardrails.

    Args:
        stored: as it was started.
        blocking, reviewing: decisions that guardrails watch.
    """

    stored: StoredExperiment
    blocking: tuple[str, ...]
    reviewing: tuple[str, ...]
    now_s: float = 0.0
    rows: list[ExperimentDecision] = field(default_factory=list)

    def __post_init__(self) -> None:
        rails = self.stored.declaration.guardrails
        self._guard = GuardrailMonitor(rails, self.blocking, self.reviewing, lambda: self.now_s)

    @property
    def versions(self) -> dict[Arm, str]:
        """By arm."""
        declared = self.stored.declaration
        return {"champion": declared.champion, "challenger": declared.challenger}

    def decide(
        self, subjects: Subjects, answers: Mapping[str, Answers]
    ) -> tuple[list[str], int, Breach | None]:
        """The versions that decide a day; when a bound broke, and which, if one did.

        From a breach on the champion decides. `rows` holds what services record.
        """
        self.rows, deciding = [], []
        for row, entity in enumerate(subjects.entities):
            arm = self.stored.deciding_arm(entity)
            deciding.append(self.versions[arm])
            decision = self._record(row, arm, subjects, answers)
            self.rows.append(decision)
            if (breach := self._watch(decision)) is not None:
                later = [self.versions["champion"]] * (len(subjects) - row - 1)
                return deciding + later, decision.event_time, breach
        return deciding, 0, None

    def _record(
        self, row: int, arm: Arm, subjects: Subjects, answers: Mapping[str, Answers]
    ) -> ExperimentDecision:
        champion, challenger = (answers[self.versions[name]] for name in _ARMS)
        at = int(subjects.times[row])
        return ExperimentDecision(
            system=self.stored.declaration.system,
            subject_id=subjects.ids[row],
            experiment_id=self.stored.id,
            entity_id=subjects.entities[row],
            arm=arm,
            event_time=at,
            decided_at=at,
            champion_version=self.versions["champion"],
            champion_score=float(champion.scores[row]),
            champion_decision=champion.decisions[row],
            challenger_version=self.versions["challenger"],
            challenger_score=float(challenger.scores[row]),
            challenger_decision=challenger.decisions[row],
            challenger_ms=1.0,
        )

    def _watch(self, decision: ExperimentDecision) -> Breach | None:
        self.now_s = (decision.event_time - self.stored.started_at) / _SECONDS
        self._guard.add_faults([None])
        self._guard.add_latency(decision.arm, _LATENCY_MS)
        decisions = decision.champion_decision, decision.challenger_decision
        self._guard.add_pair(decision.entity_id, *decisions)
        return self._guard.check()


_ARMS: tuple[Arm, Arm] = ("champion", "challenger")
