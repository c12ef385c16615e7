"""Request and response bodies of the rules of every system."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lib.contract.fields import Count, Id, Note
from lib.rules import Problem
from lib.rules.document import LARGEST_DOCUMENT
from lib.rules.ruleset import Rule
from serve.framework import response_fields as fields

_Number = Annotated[int, Field(description="Version that the text of the rules names.")]
_Present = Annotated[
    Count | None,
    Field(
        description="Version that the caller saw active, null for the service's file. 409 if "
        "another one is active by now."
    ),
]
_Text = Annotated[
    str, Field(min_length=1, max_length=LARGEST_DOCUMENT, description="The rule set, YAML.")
]
RuleStatus = Literal["active", "shadow", "off"]


class RulesStep(fields.RequestBody):
    """What every change of rules says."""

    by: Id = Field(description="Name of the person. A key that is bound to other names gets 403.")
    reason: Note = Field(description="Why, kept in the audit.")
    present: _Present = None


class ValidateRequest(fields.RequestBody):
    """A text that is to be checked."""

    text: _Text


class PublishRequest(RulesStep):
    """A text that becomes the next version and the active one."""

    text: _Text


class StatusRequest(RulesStep):
    """Another status of one rule."""

    status: RuleStatus = Field(
        description="`active` decides, `shadow` is only recorded, `off` is not evaluated."
    )


class ActivateRequest(RulesStep):
    """An earlier version that becomes active again."""

    version: Count | None = Field(description="The version; null for the service's file.")


class ProblemAnswer(fields.RowAnswer):
    """A fault of a text."""

    line: int | None = Field(description="Line, from 1.")
    rule_id: str | None = Field(description="Id of the rule at fault.")
    key: str | None = Field(description="Key at fault.")
    message: str = Field(description="What was expected, what came, and what to do.")

    @classmethod
    def all_of(cls, problems: tuple[Problem, ...]) -> list[ProblemAnswer]:
        """Of several."""
        return [cls.of(problem) for problem in problems]


class ValidateResponse(fields.RowAnswer):
    """What a text was checked for; nothing is stored."""

    valid: bool = Field(description="Whether the text may be published as it is.")
    problems: list[ProblemAnswer] = Field(description="Its faults, in the order of their lines.")
    next_version: int = Field(description="The version that the next text must name.")
    request_id: fields.RequestId


class RuleAnswer(fields.RowAnswer):
    """A rule of the active set."""

    id: str = Field(description="Id of the rule.")
    when: str = Field(description="Its condition.")
    action: str = Field(description="What it decides.")
    reason: str = Field(description="What is answered as the reason.")
    status: str = Field(description="`active`, `shadow` or `off`.")
    priority: int = Field(description="Order; a lower priority decides first.")
    confidence: float = Field(description="How sure its author is, 0 to 1.")
    owner: str = Field(description="Who answers for it.")
    note: str = Field(description="Why it is as it is.")

    @classmethod
    def all_of(cls, rules: tuple[Rule, ...]) -> list[RuleAnswer]:
        """Of several."""
        return [cls.of(rule) for rule in rules]


class RuleEntryAnswer(fields.RowAnswer):
    """A stored version."""

    number: _Number
    revision: str = Field(description="Version and digest, as decisions name it.")
    sha256: str = Field(description="SHA-256 of the text.")
    by: str = Field(description="Who wrote it, with the key.")
    reason: str = Field(description="Why.")
    created_at: fields.Time = Field(description="When, ISO 8601 in UTC.")


class RuleChangeAnswer(fields.RowAnswer):
    """A step of the audit."""

    action: str = Field(description="`published` or `activated`.")
    before: int | None = Field(description="Version that was active; null for the file.")
    after: int | None = Field(description="Version that is active from then on; likewise.")
    by: str = Field(description="Who did it, with the key.")
    reason: str = Field(description="Why.")
    at: fields.Time = Field(description="When, ISO 8601 in UTC.")


class RulesResponse(fields.RowAnswer):
    """The rules of a system."""

    active: int | None = Field(description="The active version; null for the service's file.")
    revision: str = Field(description="Version and digest of the rules that this replica uses.")
    origin: str = Field(description="Where they come from.")
    error: str | None = Field(description="Why the last rules were refused, if they were.")
    text: str = Field(description="The rules that this replica uses, YAML.")
    rules: list[RuleAnswer] = Field(description="The same, in the order in which they decide.")
    next_version: int = Field(description="The version that the next text must name.")
    readable_fields: dict[str, str] = Field(
        description="Fields that rules may read, with their kinds."
    )
    actions: list[str] = Field(description="What rules may decide, the mildest first.")
    versions: list[RuleEntryAnswer] = Field(description="Stored versions, the newest first.")
    changes: list[RuleChangeAnswer] = Field(description="The audit, the newest first.")
    request_id: fields.RequestId


class RuleVersionResponse(RuleEntryAnswer):
    """A stored version with its text."""

    text: str = Field(description="The rule set, YAML.")
    request_id: fields.RequestId


class RulesChangedResponse(fields.RowAnswer):
    """What is active after a change."""

    active: int | None = Field(description="The active version; null for the service's file.")
    revision: str = Field(description="Version and digest of the rules that this replica uses.")
    request_id: fields.RequestId
