"""Requests and answers of the moderation application. Times are ISO 8601 with an offset."""

from __future__ import annotations

import base64
import binascii
import io
from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    EncodedBytes,
    EncoderProtocol,
    Field,
    JsonValue,
    StrictBool,
    TypeAdapter,
    model_validator,
)

from lib.contract.fields import Id, Moment, Note, PathId, Whole
from lib.moderation.post import LONGEST_TEXT, MOST_IMAGES
from lib.moderation.prepared_post import UndecodedAnswer
from lib.moderation.result import HitAnswer, ModerationResult, PolicyAnswer
from lib.moderation.text_matching.folding import shows
from serve.framework.asgi import RequestContext

Decision = Literal["ALLOW", "REVIEW", "REMOVE", "PENDING"]
LANGUAGE = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"
MOST_CLAIMED = 100
_PIECE = 1 << 20
Reviewer = Annotated[
    Id, Field(description="who acts; 403 where the API key is bound to other names")
]


class _Base64(EncoderProtocol):
    """Base 64 after RFC 4648; what is none of it is refused, not passed over."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            if b"=" in data[:-2]:
                raise binascii.Error("padding within the data")
            # in pieces: other threads go on between them, and nothing is held twice
            buffer = io.BytesIO()
            for start in range(0, len(data), _PIECE):
                buffer.write(base64.b64decode(data[start : start + _PIECE], validate=True))
            content = buffer.getvalue()
        except binascii.Error as error:
            raise ValueError(f"expected base 64: {error}") from error
        if not content:
            raise ValueError("expected the bytes of a file, got none")
        return content

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return base64.b64encode(value)

    @classmethod
    def get_json_format(cls) -> Literal["base64"]:
        return "base64"


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MediaUpload(_Sent):
    """An image or a video: its bytes, or where they lie."""

    content: Annotated[bytes, EncodedBytes(encoder=_Base64)] | None = Field(
        None, description="the file, in base 64"
    )
    uri: str | None = Field(
        None, min_length=1, max_length=2000, description="on the application's list of addresses"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> MediaUpload:
        if (self.content is None) == (self.uri is None):
            combination = "neither" if self.uri is None else "both"
            raise ValueError(f"expected content or uri, got {combination}")
        return self


class PostRequest(_Sent):
    """A post to judge: at least one of text, images and video."""

    post_id: PathId = Field(description="an edited post is another post, with another id")
    author_id: Id
    created_at: Moment | None = Field(None, description="default: now")
    text: str | None = Field(None, max_length=LONGEST_TEXT)
    images: list[MediaUpload] = Field(default=[], max_length=MOST_IMAGES)
    video: MediaUpload | None = None
    language: str | None = Field(None, max_length=35, pattern=LANGUAGE, description="BCP 47 tag")
    reports: Whole = Field(0, description="how often users have reported it")
    reach: Whole = Field(0, description="views so far, or expected")

    @model_validator(mode="after")
    def _something(self) -> PostRequest:
        if not (shows(self.text) or self.images or self.video):
            raise ValueError("the post is empty: expected a text, an image or a video")
        return self


class PostResponse(BaseModel):
    """What happens to a post, and why."""

    post_id: str
    decision: Decision
    method: Literal["rule", "model", "fallback", "pending"]
    reason: str
    rule_id: str | None
    policy: str | None = Field(description="that decided; `undecoded` where media did")
    policies: dict[str, PolicyAnswer] = Field(description="empty where a rule decided alone")
    presence: dict[str, Literal["present", "absent", "failed"]]
    hits: list[HitAnswer]
    undecoded: list[UndecodedAnswer]
    model_version: str | None
    policies_version: str
    rules_version: str
    stages_ms: dict[str, float] = Field(description="decode apart from models")
    latency_ms: float
    request_id: str

    @classmethod
    def of(
        cls, result: ModerationResult, rules_version: str, context: RequestContext
    ) -> PostResponse:
        """The answer to a post."""
        choice = result.choice
        return cls(
            post_id=result.prepared.post.post_id,
            decision=choice.decision,  # type: ignore[arg-type]
            method=choice.method,  # type: ignore[arg-type]
            reason=choice.reason,
            rule_id=result.verdict.rule_id if choice.method == "rule" else None,
            policy=choice.policy,
            policies=result.policies,
            presence=result.presence,  # type: ignore[arg-type]
            hits=result.hits,
            undecoded=list(result.prepared.undecoded),
            model_version=result.model_version,
            policies_version=result.bundle.version,
            rules_version=rules_version,
            stages_ms={name: round(ms, 3) for name, ms in result.stages_ms.items()},
            latency_ms=context.latency_ms(),
            request_id=context.request_id,
        )


class OutcomeAnswer(BaseModel):
    """What people decided about a post."""

    kind: str
    rule: str
    verdicts: dict[str, bool]
    at: datetime


class PostView(BaseModel):
    """A post's state: what was answered first, what came of it, and what holds now."""

    post_id: str
    author_id: str
    decision: Decision = Field(description="that holds now: people before models")
    decided_by: Literal["people", "rule", "model", "fallback", "pending"]
    first: PostResponse
    afterwards: dict[str, JsonValue] | None = Field(
        description="what models said later, of a video or after a fallback"
    )
    outcomes: list[OutcomeAnswer] = Field(description="of reviews and appeals, the newest first")
    request_id: str


class PolicyResult(BaseModel):
    """One thing that happened to a post in review."""

    at: datetime
    who: str
    what: str
    rule: str | None
    item_id: str
    policy_version: str
    model_version: str | None
    before: JsonValue
    after: JsonValue
    key_id: str | None = Field(description="public id of the API key that acted; null: none did")


class HistoryResponse(BaseModel):
    """Everything that happened to a post in review, in that order."""

    post_id: str
    entries: list[PolicyResult]
    request_id: str


class AppealRequest(_Sent):
    """An author asks for a removal to be looked at again."""

    post_id: Id
    author_id: Id
    statement: Note


class AppealResponse(BaseModel):
    """The appeal as an item of the queue."""

    item_id: str
    new: bool = Field(description="false: it was made before")
    request_id: str


class ClaimRequest(_Sent):
    """Who wants what to decide."""

    reviewer: Reviewer
    claim_id: Id | None = Field(
        None,
        description="names the claim; the same again gets the items that it still holds. "
        "Default: X-Request-ID",
    )
    most: int = Field(1, ge=1, le=MOST_CLAIMED)
    languages: list[Annotated[str, Field(max_length=35, pattern=LANGUAGE)]] | None = Field(
        None, max_length=100, description="default: all"
    )


class ClaimedItem(BaseModel):
    """An item that is held; the token goes with the decision."""

    item_id: str
    token: int
    leased_until: datetime
    post_id: str
    policies: dict[str, float] = Field(description="to decide about, with the model's chance")
    severity: int
    reach: int
    created_at: datetime
    due_at: datetime
    policy_version: str
    language: str | None
    shown: dict[str, JsonValue]


class ClaimsResponse(BaseModel):
    """Items that are held now; empty where nothing waits."""

    claims: list[ClaimedItem]
    request_id: str


class LeaseRequest(_Sent):
    """Who holds an item."""

    reviewer: Reviewer
    token: Whole


class LeaseResponse(BaseModel):
    """Until when an item is held; null: it went back."""

    item_id: str
    leased_until: datetime | None
    request_id: str


class DecideRequest(_Sent):
    """A reviewer's verdict on every policy of an item."""

    reviewer: Reviewer
    token: Whole
    verdicts: dict[Id, StrictBool] = Field(min_length=1, max_length=64)
    note: Note | None = None


class DecideResponse(BaseModel):
    """The decision as it is kept."""

    item_id: str
    post_id: str
    verdicts: dict[str, bool]
    new: bool = Field(description="false: it was decided so before")
    outcome: OutcomeAnswer | None = Field(description="of the post so far; null: more is to come")
    request_id: str


class PolicyView(BaseModel):
    """A policy as reviewers read it."""

    id: str
    description: str
    severity: int
    version: int


class PoliciesResponse(BaseModel):
    """The policies in force."""

    version: str
    policies: list[PolicyView]
    request_id: str


class QueueStatsResponse(BaseModel):
    """How the queue stands, how reviewers agree, and how right they are on known items."""

    queue: dict[str, JsonValue]
    price: float = Field(description="of a review beyond its cost, where people are scarce")
    kappa: dict[str, JsonValue]
    accuracy: dict[str, JsonValue] = Field(description="by reviewer, then policy")
    request_id: str


class ExplanationResponse(BaseModel):
    """What of a post speaks for a policy's violation."""

    post_id: str
    policy: str
    model_version: str
    explanation: dict[str, JsonValue]
    request_id: str


POST: TypeAdapter[PostRequest] = TypeAdapter(PostRequest)
