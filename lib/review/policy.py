"""What a system sends to people: which decisions, how urgent they are, what they become."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lib.records import Decision, Fact
from lib.records.models import Json
from lib.records.review import Outcome, ReviewItem
from lib.records.systems import SYSTEMS
from lib.review.ranking import bounded_priority, rank_us
from lib.review.salt import opaque_id
from lib.review.settings import ReviewSettings

UNKNOWN_PROBABILITY = 0.5
"""Of a decision without a model's score."""
SOURCE = "review"
"""Source of the facts that closed cases become."""


@dataclass(frozen=True)
class ReviewPolicy(ABC):
    """A system's part in the review queue.

    Attributes:
        system: its name.
        question: what people decide, true or false.
        version: of the question; golden items are mixed in among items of the same version.
        severity_losses: expected loss, in currency units, from which the severity is 2, 3, 4, 5.
    """

    system: ClassVar[str]
    question: ClassVar[str]
    version: ClassVar[str] = "1"

    severity_losses: tuple[float, float, float, float]

    @abstractmethod
    def expected_loss(self, decision: Decision) -> float:
        """What is lost, in currency units, if nobody looks and the model is right."""

    @abstractmethod
    def shown(self, decision: Decision) -> Mapping[str, Json]:
        """What a reviewer sees beside what all systems show."""

    @abstractmethod
    def facts(self, outcome: Outcome, decision: Decision, now: int) -> Sequence[Fact]:
        """What a closed case becomes.

        Args:
            outcome: of the case.
            decision: that was reviewed.
            now: when the facts are stored, microseconds since 1970 UTC.
        """

    def probability(self, decision: Decision) -> float:
        """That the question is answered with true."""
        score = UNKNOWN_PROBABILITY if decision.score is None else decision.score
        return min(max(float(score), 0.0), 1.0)

    def item(self, decision: Decision, now: int, settings: ReviewSettings) -> ReviewItem | None:
        """The item of a decision, the same however often it is asked for; None for no review.

        Args:
            decision: as it is stored.
            now: microseconds since 1970 UTC.
            settings: due times by severity, and the salt of ids.
        """
        if decision.decision not in SYSTEMS[self.system].reviewed:
            return None
        name = opaque_id(settings.draw_salt, "review", self.system, *self._case(decision))
        return self._item(decision, name, "routed", now, settings)

    def chosen_item(
        self, decision: Decision, case: str, rule: str, now: int, settings: ReviewSettings
    ) -> ReviewItem:
        """The item of a subject that a person chose, whatever was decided about it.

        Args:
            decision: as it is stored.
            case: names the case among those of the subject.
            rule: why there is one, e.g. `stated`.
            now: microseconds since 1970 UTC.
            settings: as of `item`.
        """
        name = opaque_id(settings.draw_salt, rule, self.system, decision.subject_id, case)
        return self._item(decision, name, rule, now, settings)

    def _item(
        self, decision: Decision, name: str, rule: str, now: int, settings: ReviewSettings
    ) -> ReviewItem:
        loss = max(self.expected_loss(decision), 0.0)
        severity = 1 + bisect_right(self.severity_losses, loss)
        due, priority = now + settings.sla_us[severity], bounded_priority(loss)
        return ReviewItem(
            id=name, case_id=name, system=self.system, subject_id=decision.subject_id,
            kind="review", rule=rule, policies={self.question: self.probability(decision)},
            severity=severity, reach=0, priority=priority, created_at=now, due_at=due,
            rank_us=rank_us(priority, due, settings), policy_version=self.version,
            model_version=decision.model_version,
            shown={**_shown(decision), "expected_loss": round(loss, 2), **self.shown(decision)},
        )  # fmt: skip

    def _case(self, decision: Decision) -> tuple[str, ...]:
        """Names the case that a decision belongs to: each decision is one."""
        return (decision.subject_id,)

    def fact(self, kind: str, subject_id: str, outcome: Outcome, now: int) -> Fact:
        """A fact that people stated: the answer to the question."""
        return Fact(
            system=self.system, subject_id=subject_id, kind=kind,
            value=outcome.verdicts[self.question], observed_at=outcome.at, source=SOURCE,
            received_at=now,
        )  # fmt: skip


@dataclass(frozen=True)
class EntityReview(ReviewPolicy):
    """A policy about entities, such as machines: one case a span of time, one fact a case.

    Attributes:
        case_us: decisions about an entity whose events lie within one span of so many microseconds
            are one case.
        shown_fields: of the answer, for reviewers.
        fact_kind: of what a closed case states about the entity.
    """

    case_us: ClassVar[int]
    shown_fields: ClassVar[tuple[str, ...]]
    fact_kind: ClassVar[str]

    def shown(self, decision: Decision) -> Mapping[str, Json]:
        """See `ReviewPolicy`."""
        return {name: decision.answer.get(name) for name in self.shown_fields}

    def facts(self, outcome: Outcome, decision: Decision, now: int) -> Sequence[Fact]:
        """See `ReviewPolicy`: the answer to the question, about the entity."""
        return [self.fact(self.fact_kind, str(decision.entities[self._entity]), outcome, now)]

    def _case(self, decision: Decision) -> tuple[str, ...]:
        span = decision.event_time // self.case_us
        return (str(decision.entities.get(self._entity)), decision.decision, str(span))

    @property
    def _entity(self) -> str:
        return next(iter(SYSTEMS[self.system].entities.values()))


def _shown(decision: Decision) -> dict[str, Json]:
    """What reviewers of every system see of a decision; times are microseconds since 1970 UTC."""
    return {
        "decision": decision.decision,
        "method": decision.method,
        "score": decision.score,
        "reason": decision.answer.get("reason"),
        "reasons": decision.reasons,
        "rule_id": decision.rule_id,
        "rule_hits": list(decision.rule_hits),
        "event_time": decision.event_time,
        **{name: entity for name, entity in decision.entities.items() if entity is not None},
    }
