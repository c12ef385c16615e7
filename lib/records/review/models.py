"""What the review queue keeps, checked on construction. Times are microseconds since 1970 UTC."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields, require_number, require_text

ItemKind = Literal["review", "second_opinion", "adjudication", "golden", "appeal"]
KINDS: tuple[str, ...] = get_args(ItemKind)


class UnknownItemError(RecordsError):
    """There is no such item."""


class LeaseLostError(RecordsError):
    """The item is not, or no longer, this reviewer's to decide."""


class RepeatedOpinionError(RecordsError):
    """Another opinion is needed, and this reviewer or this key gave one about the post before."""


class ContradictedVerdictError(RecordsError):
    """The same reviewer decided the item before, with other verdicts."""


class UndoRefusedError(RecordsError):
    """A decision can no longer be undone: it is too long ago, or something followed from it."""


@dataclass(frozen=True, slots=True)
class ReviewKey:
    """The API key under which somebody acts.

    Attributes:
        id: its public id, for the audit.
        bound: whether the names that it may act under are given; one that is not bound counts as
            one person where a second opinion is asked for.
    """

    id: str
    bound: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewSubject:
    """What is reviewed: a payment, a post, ... of a system."""

    system: str
    subject_id: str

    @property
    def post_id(self) -> str:
        """Moderation's name of the subject."""
        return self.subject_id


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewItem(ReviewSubject):
    """One thing for one person to decide.

    Attributes:
        id: names it.
        case_id: names the case: what is decided with one outcome, in one to three items.
        system, subject_id: what is reviewed.
        kind: `review`, `second_opinion`, `adjudication`, `golden` or `appeal`.
        rule: which rule asked for it, e.g. `routed`, `sample`, `severity`, `disagreement`.
        policies: what is to be decided about, e.g. ids of policies, or `fraud` of a payment, to
            the model's probability of each.
        severity: 1 to 5.
        reach: how many people see the post.
        priority: in doublings of risk x severity x reach.
        created_at, due_at: when it came and by when it should be decided.
        rank_us: moment by which it is ordered, earliest first.
        policy_version, model_version: which were in force.
        language, skill: what its reviewer has to know, None for nothing in particular.
        shown: what the reviewer sees: text, references to media, explanation.
        for_reviewer: the only one who may have it.
        known: right answers, of a golden item only.

    Raises:
        RecordsError: names the field, what was expected and what came.
    """

    id: str
    case_id: str
    kind: ItemKind
    rule: str
    policies: Mapping[str, float]
    severity: int
    reach: int
    priority: float
    created_at: int
    due_at: int
    rank_us: int
    policy_version: str
    model_version: str | None
    shown: Mapping[str, Json]
    language: str | None = None
    skill: str | None = None
    for_reviewer: str | None = None
    known: Mapping[str, bool] | None = None

    def __post_init__(self) -> None:
        texts = ("id", "case_id", "system", "subject_id", "rule", "policy_version")
        require_fields(self, texts, ("created_at", "due_at"))
        if self.kind not in KINDS:
            raise RecordsError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        require_number("priority", self.priority)
        require_case(self.policies, self.severity, self.reach)
        if (self.kind == "golden") != (self.known is not None):
            raise RecordsError("known: expected answers of golden items, and of no other kind")

    @property
    def policy(self) -> str:
        """The most probable policy, the first by name of several."""
        return min(self.policies, key=lambda name: (-self.policies[name], name))


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenItem(ReviewSubject):
    """A subject whose right answers are known. Fields as in `ReviewItem`; `known` by policy."""

    id: str
    policies: Mapping[str, float]
    severity: int
    reach: int
    policy_version: str
    shown: Mapping[str, Json]
    known: Mapping[str, bool]
    language: str | None = None
    skill: str | None = None

    def __post_init__(self) -> None:
        require_fields(self, ("id", "system", "subject_id", "policy_version"))
        require_case(self.policies, self.severity, self.reach)
        require_verdicts("known", self.policies, self.known)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim(ReviewSubject):
    """What a reviewer gets: nothing in it tells a second opinion or a golden item from another.

    Attributes:
        item_id, token: to be named with the decision; the token is good for this lease only.
        leased_until: when the item goes back to the queue.
        system, subject_id: what is reviewed.
        policies, severity, reach, created_at, due_at, policy_version, language, shown: see
            `ReviewItem`.
    """

    item_id: str
    token: int
    leased_until: int
    policies: Mapping[str, float]
    severity: int
    reach: int
    created_at: int
    due_at: int
    policy_version: str
    language: str | None
    shown: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when a reviewer holds an item, and under which token."""

    token: int
    until: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict(ReviewSubject):
    """What one reviewer decided about one item.

    `verdicts` says of each policy if it is broken, `key_id` under which API key it was decided.
    """

    item_id: str
    case_id: str
    kind: ItemKind
    reviewer: str
    token: int
    verdicts: Mapping[str, bool]
    note: str | None
    decided_at: int
    policy_version: str
    model_version: str | None
    key_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome(ReviewSubject):
    """What a case came to: `rule` is `single`, `agreed`, `majority`, `upheld`, `overturned`."""

    case_id: str
    kind: ItemKind
    rule: str
    verdicts: Mapping[str, bool]
    at: int
    policy_version: str
    model_version: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What follows a decision: another item, the case's outcome, or neither (golden items)."""

    opens: ReviewItem | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Label(ReviewSubject):
    """An outcome about one policy, to learn from.

    Attributes:
        number: grows with every label; no later one is ever committed with a smaller number.
        system, subject_id, policy, violates: what was decided.
        by: the reviewers, in the order in which they decided, joined by commas.
        rule: see `Outcome`.
        at: when the case was closed.
        policy_version: by which version of the policies.
        case_id: of which case.
    """

    number: int
    policy: str
    violates: bool
    by: str
    rule: str
    at: int
    policy_version: str
    case_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry(ReviewSubject):
    """One thing that happened.

    When, who did what by which rule, the state before and after, and under which API key.
    """

    at: int
    who: str
    what: str
    rule: str | None
    item_id: str
    case_id: str
    policy_version: str
    model_version: str | None
    before: Mapping[str, Json] | None
    after: Mapping[str, Json] | None
    key_id: str | None = None


def require_case(policies: Mapping[str, float], severity: int, reach: int) -> None:
    """Refuse policies without probabilities, a severity outside 1 to 5, a negative reach."""
    if not policies:
        raise RecordsError("policies: expected at least one with its probability, got none")
    for name, probability in policies.items():
        require_text("policies", name)
        if (
            not isinstance(probability, int | float)
            or math.isnan(probability)
            or not 0 <= probability <= 1
        ):
            raise RecordsError(
                f"policies.{name}: expected a probability 0 to 1, got {probability!r}"
            )
    if type(severity) is not int or not 1 <= severity <= 5:
        raise RecordsError(f"severity: expected 1 to 5, got {severity!r}")
    if type(reach) is not int or reach < 0:
        raise RecordsError(f"reach: expected an integer of 0 or more, got {reach!r}")


def require_verdicts(
    name: str, policies: Sequence[str] | Mapping[str, float], verdicts: Mapping[str, bool]
) -> None:
    """Refuse verdicts that leave out a policy, name another, or are not true or false."""
    if set(verdicts) != set(policies):
        raise RecordsError(
            f"{name}: expected a verdict on each of {', '.join(sorted(policies))}, "
            f"got {', '.join(sorted(verdicts)) or 'none'}"
        )
    for policy, violates in verdicts.items():
        if type(violates) is not bool:
            raise RecordsError(f"{name}.{policy}: expected true or false, got {violates!r}")
