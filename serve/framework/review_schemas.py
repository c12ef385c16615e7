"""Request and response bodies of the review queue of every system."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field, JsonValue, StrictBool

from lib.contract.fields import Count, Id, Moment, Note, PathId, optional
from lib.records.review.statements import MOST_STATED
from serve.framework import response_fields as fields

LANGUAGE = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"
MOST_CLAIMED = 100
MOST_GOLDEN = 1000
Reviewer = Annotated[
    Id, Field(description="Name of the reviewer. A key that is bound to other names gets 403.")
]
SubjectId = Annotated[str, Field(description="Id of the decision's subject.")]
Verdicts = Annotated[
    dict[str, bool], Field(description="Verdict by question or policy: true if it applies.")
]
ItemId = Annotated[str, Field(description="Id of the review item.")]
LeaseToken = Annotated[Count, Field(description="Token of the lease, as in the claimed item.")]
_Verdicts = Annotated[dict[Id, StrictBool], Field(min_length=1, max_length=64)]
_Note = Annotated[Note | None, Field(description="Note of the reviewer, kept in the audit log.")]


class ClaimRequest(fields.RequestBody):
    """A reviewer's request for items to decide."""

    reviewer: Reviewer
    claim_id: Id | None = optional(
        "Id of the claim. The same claim sent again gets the items that it still "
        "leases. Default: the request id."
    )
    most: int = Field(1, ge=1, le=MOST_CLAIMED, description="Maximum number of items; default: 1.")
    languages: list[Annotated[str, Field(max_length=35, pattern=LANGUAGE)]] | None = Field(
        None,
        max_length=100,
        description="Languages that the reviewer understands, as BCP 47 tags. Default: all.",
    )
    skills: list[Id] = Field(
        default=[],
        max_length=100,
        description="Skills of the reviewer. Escalated items need `senior`. Default: none.",
    )


class ClaimedFields(fields.RowAnswer):
    """What a claimed item has in every system."""

    item_id: ItemId
    token: int = Field(
        description="Token of the lease; to be sent with the verdict, with a renewal and with a "
        "release."
    )
    leased_until: fields.Time = Field(description="Time at which the lease ends, ISO 8601 in UTC.")
    policies: dict[str, float] = Field(
        description="Probability that it applies, 0 to 1, by question or policy to decide about."
    )
    severity: int = Field(description="Severity of the item, 1 (low) to 5 (high).")
    created_at: fields.Time = Field(
        description="Time at which the item entered the queue, ISO 8601 in UTC."
    )
    due_at: fields.Time = Field(
        description="Time by which the item should be decided, ISO 8601 in UTC."
    )


Claimed = TypeVar("Claimed", bound=ClaimedFields)


class ClaimedCase(ClaimedFields):
    """A review item that is leased to the reviewer."""

    subject_id: SubjectId
    shown: dict[str, JsonValue] = Field(
        description="Content to show to the reviewer: decision, score, reasons, entities, "
        "expected loss."
    )


class ClaimsOf(BaseModel, Generic[Claimed]):
    """Claimed items, as each system shows them."""

    claims: list[Claimed] = Field(
        description="Leased items, the most urgent first; empty if no item waits."
    )
    request_id: fields.RequestId


class CaseClaimsResponse(ClaimsOf[ClaimedCase]):
    """Review items that are leased to the reviewer."""


class TakeRequest(fields.RequestBody):
    """The reviewer who takes an item."""

    reviewer: Reviewer


class StatementRequest(fields.RequestBody):
    """One verdict on several subjects, whether or not they are in the queue."""

    statement_id: Id = Field(
        description="Id of the statement, chosen by the caller. The same statement sent again "
        "under its id gets the first answer; another verdict or other subjects under a used id "
        "get 409."
    )
    reviewer: Reviewer
    subject_ids: list[PathId] = Field(
        min_length=1,
        max_length=MOST_STATED,
        description="Ids of the payments or of the predictions that the verdict is stated of.",
    )
    verdicts: _Verdicts = Field(
        description="Verdict by question: true if it applies. Each question needs one."
    )
    note: _Note = None


class NoteRequest(fields.RequestBody):
    """A note about a subject."""

    reviewer: Reviewer
    note: Note = Field(description="Note of the reviewer, kept in the audit log.")


class ReferRequest(fields.RequestBody):
    """A subject that is to be looked at by seniors."""

    reviewer: Reviewer
    case_id: Id = Field(
        description="Id of the case among those of the subject, chosen by the caller. The same "
        "case sent again changes nothing."
    )
    note: _Note = None


class SubjectResponse(BaseModel):
    """The subject of which something was noted, or which was sent to the queue."""

    subject_id: SubjectId
    new: bool = Field(description="False if the same had been sent before.")
    request_id: fields.RequestId


class StatementResponse(BaseModel):
    """What became of a statement; ten seconds after it each verdict becomes a label."""

    statement_id: str = Field(description="Id of the statement.")
    new: bool = Field(description="False if the statement had been sent before.")
    stated: list[str] = Field(description="Ids of the subjects that the verdict is stated of.")
    left_out: list[str] = Field(
        description="Ids of subjects that wait for another reviewer; nothing changed for them."
    )
    unknown: list[str] = Field(description="Ids that no decision is recorded about.")
    request_id: fields.RequestId


class LeaseRequest(fields.RequestBody):
    """The reviewer and the lease of an item."""

    reviewer: Reviewer
    token: LeaseToken


class LeaseResponse(BaseModel):
    """The lease of an item after it was changed."""

    item_id: ItemId
    leased_until: datetime | None = Field(
        description="Time at which the lease ends, ISO 8601 in UTC; null after the "
        "item was returned."
    )
    request_id: fields.RequestId


class UndoResponse(LeaseResponse):
    """The lease that a reviewer gets after a verdict was undone."""

    token: int = Field(description="Token of the new lease; to be sent with the next verdict.")


class SnoozeRequest(LeaseRequest):
    """The time before which an item cannot be claimed."""

    until: Moment = Field(
        description="Time from which the item can be claimed again, ISO 8601 with an offset, "
        "within 30 days."
    )
    note: _Note = None


class AssignRequest(fields.RequestBody):
    """The reviewer who alone may claim an item."""

    reviewer: Reviewer
    assignee: Id | None = Field(
        description="Name of the reviewer who is to decide; null if anybody may."
    )
    token: LeaseToken | None = optional("Token of the lease, if the reviewer holds the item.")
    note: _Note = None


class EscalateRequest(LeaseRequest):
    """The reviewer who passes an item on to seniors."""

    note: _Note = None


class DecideRequest(fields.RequestBody):
    """A reviewer's verdict on every question or policy of an item."""

    reviewer: Reviewer
    token: LeaseToken
    verdicts: _Verdicts = Field(
        description="Verdict by question or policy: true if it applies. Expected for each one of "
        "the item and for no other.",
    )
    note: Note | None = optional("Note of the reviewer.")


class CaseOutcome(fields.RowAnswer):
    """Outcome of a case."""

    kind: str = Field(description="Kind of the case: `review` or `appeal`.")
    rule: str = Field(description="Rule of the review process that closed the case.")
    verdicts: Verdicts
    at: fields.Time = Field(description="Time of the outcome, ISO 8601 in UTC.")


class StoredVerdict(fields.RowAnswer):
    """A verdict as it was stored, without what it is about."""

    verdicts: Verdicts
    new: bool = Field(
        description="True if the verdict was stored for the first time, false if it was repeated."
    )


class CaseItem(fields.RowAnswer):
    """An item and the decision's subject that it is about."""

    item_id: ItemId
    subject_id: SubjectId


class CaseDecideResponse(StoredVerdict, CaseItem):
    """The verdict as it was stored, and the outcome of the case."""

    outcome: CaseOutcome | None = Field(
        description="Newest outcome of the subject; null while its case is open."
    )
    request_id: fields.RequestId


class CaseEntry(fields.RowAnswer):
    """One entry of the audit log of a subject in review."""

    at: fields.Time = Field(description="Time of the entry, ISO 8601 in UTC.")
    who: str = Field(description="Person who acted, or `queue` for the service itself.")
    what: str = Field(description="Action that was taken, such as `claimed` or `closed`.")
    rule: str | None = Field(
        description="Rule of the review process that applied; null if none did."
    )
    item_id: ItemId
    policy_version: str = Field(description="Version of the questions or policies that applied.")
    model_version: fields.ModelVersion
    before: JsonValue = Field(
        description="State of the item before the action; null if there was none."
    )
    after: JsonValue = Field(
        description="State of the item after the action; null if there is none."
    )
    key_id: str | None = Field(
        description="Public id of the API key that acted; null if no key acted."
    )


class CaseHistoryResponse(BaseModel):
    """Audit log of a subject in review."""

    subject_id: SubjectId
    entries: list[CaseEntry] = Field(description="Entries of the audit log, the oldest first.")
    request_id: fields.RequestId


class QueueFiguresResponse(BaseModel):
    """State of the review queue, and agreement and accuracy of the reviewers."""

    queue: dict[str, JsonValue] = Field(
        description="State of the queue: open items by policy (`depth`), leased items, age of the "
        "oldest item in microseconds, share of overdue items, arrivals and decisions per hour, "
        "decisions per case, share of overturned appeals, and expired leases of the last 7 days."
    )
    kappa: dict[str, JsonValue] = Field(
        description="Agreement of first and second opinions over the last 7 days by policy: number "
        "of pairs, share of equal verdicts, and Cohen's kappa with its confidence interval."
    )
    accuracy: dict[str, JsonValue] = Field(
        description="Accuracy on items with known answers over the last 7 days, by reviewer and "
        "policy: answers, right answers, and their share with its 95% confidence interval."
    )
    request_id: fields.RequestId


class GoldenAnswer(fields.RequestBody):
    """A reviewed subject whose right answers are known."""

    subject_id: Id = Field(description="Id of a subject that is or was in the review queue.")
    verdicts: _Verdicts = Field(
        description="Right verdict on each question or policy of the subject's item."
    )


class GoldenRequest(fields.RequestBody):
    """Reviewed subjects that are to measure reviewers."""

    reviewer: Reviewer
    answers: list[GoldenAnswer] = Field(
        min_length=1, max_length=MOST_GOLDEN, description="Subjects with their right answers."
    )


class GoldenResponse(BaseModel):
    """Counts of the golden items of a request."""

    received: int = Field(description="Number of subjects in the request.")
    stored: int = Field(description="Number of subjects that are golden from now on.")
    repeated: int = Field(description="Number of subjects that were golden before.")
    request_id: fields.RequestId
