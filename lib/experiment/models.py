"""An experiment as it is stored, what changed it, and what both models said of a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lib.experiment.assignment import ARMS, Arm, Assignment
from lib.experiment.declaration import Experiment
from lib.records.errors import RecordsError
from lib.records.models import (
    Json,
    require_fields,
    require_note,
    require_number,
    require_text,
    require_time,
)

Action: TypeAlias = Literal["started", "share raised", "judged", "ended"]
_REQUIRED = ("system", "subject_id", "experiment_id", "entity_id", "event_time", "decided_at")
_CHECKS: tuple[tuple[Callable[[str, object], None], tuple[str, ...]], ...] = (
    (require_text, _REQUIRED[:4]),
    (require_text, ("champion_version", "champion_decision")),
    (require_text, ("challenger_version", "challenger_decision")),
    (require_time, _REQUIRED[4:]),
    (require_number, ("champion_score", "challenger_score", "challenger_ms")),
    (require_note, ("fault",)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredExperiment:
    """An experiment that was started. Times are microseconds since 1970 UTC.

    Attributes:
        id: `SYSTEM/NAME`.
        declaration: as it was started, between versions.
        key: the secret that draws the arms; kept out of logs and pages.
        share: the present one.
        started_at: when it was started.
        ended_at: when it was ended, None while it runs.
        ended_by: who or what ended it.
        reason: why, in words.
    """

    id: str
    declaration: Experiment
    key: bytes = field(repr=False)
    share: float
    started_at: int
    ended_at: int | None = None
    ended_by: str | None = None
    reason: str | None = None

    @property
    def assignment(self) -> Assignment:
        """Draws the arms at the present share."""
        return Assignment(self.key, self.declaration.name, self.share)

    def assignment_at(self, share: float) -> Assignment:
        """Draws the arms as they were at an earlier share."""
        return Assignment(self.key, self.declaration.name, share)

    def is_past(self, now: int) -> bool:
        """Whether its declared end has passed, so that the champion decides for everybody."""
        return self.declaration.until is not None and now >= self.declaration.until

    def deciding_arm(self, entity_id: str) -> Arm:
        """Whose decision an entity gets: in shadow mode always the champion's."""
        return "champion" if self.declaration.mode == "shadow" else self.assignment.arm(entity_id)

    def is_scored(self, entity_id: str) -> bool:
        """Whether the challenger scores an entity's subjects: all in `ab` mode, the share else."""
        return self.declaration.mode == "ab" or self.assignment.arm(entity_id) == "challenger"


RunningExperiment: TypeAlias = StoredExperiment
"""One that has not ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentChange:
    """An entry of the audit of an experiment: added, never changed.

    Attributes:
        experiment_id: of the experiment.
        action: what happened to it.
        by: the person, or the part of the service (`guardrail`).
        at: microseconds since 1970 UTC.
        detail: of the action, e.g. the shares before and after.
    """

    experiment_id: str
    action: str
    by: str
    at: int
    detail: Mapping[str, Json]

    def __post_init__(self) -> None:
        require_fields(self, ("experiment_id", "action", "by"), ("at",))


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedDecision:
    """What a judgement needs of a decision under an experiment; what is stored was checked.

    Attributes:
        subject_id: of the decision.
        entity_id: by which the arm was drawn.
        arm: whose decision was answered.
        event_time, decided_at: of the decision, microseconds since 1970 UTC.
        champion_version, challenger_version: that were asked.
        challenger_decision: what the challenger said.
        fault: why the challenger has no score; None where it has one.
    """

    subject_id: str
    entity_id: str
    arm: Arm
    event_time: int
    decided_at: int
    champion_version: str | None = None
    challenger_version: str | None = None
    challenger_decision: str | None = None
    fault: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentDecision(RecordedDecision):
    """What both models said of a subject under an experiment.

    Attributes:
        system: of the decision.
        experiment_id: `SYSTEM/NAME`.
        champion_decision, champion_score: what the champion said.
        challenger_score: what the challenger said.
        challenger_ms: time to the challenger's score, milliseconds.

    Raises:
        RecordsError: an id is empty, the arm unknown, or a number not finite.
    """

    system: str
    experiment_id: str
    champion_decision: str | None = None
    champion_score: float | None = None
    challenger_score: float | None = None
    challenger_ms: float | None = None

    def __post_init__(self) -> None:
        for check, names in _CHECKS:
            for name in names:
                value = getattr(self, name)
                if value is not None or name in _REQUIRED:
                    check(name, value)
        if self.arm not in ARMS:
            raise RecordsError(f"arm: expected {' or '.join(ARMS)}, got {self.arm!r:.80}")
