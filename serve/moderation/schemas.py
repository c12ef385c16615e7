"""Request and response bodies of the moderation system."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    EncodedBytes,
    EncoderProtocol,
    Field,
    JsonValue,
    model_validator,
)

from lib.contract.fields import Count, Id, Moment, Note, PathId
from lib.feature.attribute_values import AttributeValue
from lib.feature.attributes import Attribute
from lib.moderation.post import LONGEST_TEXT, MOST_IMAGES
from lib.moderation.prepared_post import UndecodedAnswer
from lib.moderation.result import HitAnswer, ModerationResult, PolicyAnswer
from lib.moderation.text_matching.folding import shows
from lib.records.json_codec import write_json
from serve.framework import response_fields as fields
from serve.framework.asgi import RequestContext
from serve.framework.attribute_models import with_attributes
from serve.framework.review_schemas import (
    LANGUAGE,
    CaseEntry,
    CaseOutcome,
    ClaimedFields,
    ClaimsOf,
    ItemId,
    QueueFiguresResponse,
    StoredVerdict,
)
from serve.framework.validation import sent_attributes_of

Decision = Literal["ALLOW", "REVIEW", "REMOVE", "PENDING"]
_PIECE = 1 << 20
_DIGEST_BYTES = 16
PostId = Annotated[str, Field(description="Id of the post.")]


class _Base64(EncoderProtocol):
    """Base64 (RFC 4648); other characters are refused, not skipped."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            if data.find(b"=", 0, len(data) - 2) >= 0:  # without a copy of megabytes
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


class MediaUpload(fields.RequestBody):
    """An image or a video: either its content or its address."""

    content: Annotated[bytes, EncodedBytes(encoder=_Base64)] | None = Field(
        None, description="Bytes of the file in Base64 (RFC 4648)."
    )
    uri: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Address of the file; it must begin with an address that the service allows.",
    )

    @property
    def digest(self) -> str:
        """Of its bytes, or its URI where that was sent."""
        if self.content is None:
            return f"uri:{self.uri}"
        return hashlib.blake2b(self.content, digest_size=_DIGEST_BYTES).hexdigest()

    @model_validator(mode="after")
    def _one_of_both(self) -> MediaUpload:
        if (self.content is None) == (self.uri is None):
            combination = "neither" if self.uri is None else "both"
            raise ValueError(f"expected content or uri, got {combination}")
        return self


class PostRequest(fields.RequestBody):
    """A post to moderate: at least one of text, images and video."""

    post_id: PathId = Field(
        description="Id of the post, chosen by the caller. An edited post needs a new id."
    )
    author_id: Id = Field(description="Id of the author.")
    created_at: Moment | None = Field(
        None,
        description="Time at which the post was written, ISO 8601 with an offset. Default: the "
        "current time.",
    )
    text: str | None = Field(
        None, max_length=LONGEST_TEXT, description="Text of the post; null if there is none."
    )
    images: list[MediaUpload] = Field(
        default=[], max_length=MOST_IMAGES, description="Images of the post; default: none."
    )
    video: MediaUpload | None = Field(None, description="Video of the post; null if there is none.")
    language: str | None = Field(
        None,
        max_length=35,
        pattern=LANGUAGE,
        description="Language of the post as a BCP 47 tag, such as `de`; null if unknown.",
    )
    reports: Count = Field(
        0, description="Number of reports of the post by users so far; default: 0."
    )
    reach: Count = Field(
        0, description="Number of views of the post, so far or expected; default: 0."
    )

    def content_digest(self) -> str:
        """A digest of every field; equal for equal requests, however they are written.

        Media count by their bytes, or by their URI where that was sent. Takes milliseconds for a
        few MB, without holding Python's lock.
        """
        content = {
            **self.model_dump(mode="json", exclude={"images", "video", "attributes"}),
            **({"attributes": own} if (own := self.sent_attributes) else {}),
            "images": [image.digest for image in self.images],
            "video": None if self.video is None else self.video.digest,
        }
        return hashlib.blake2b(write_json(content), digest_size=_DIGEST_BYTES).hexdigest()

    @property
    def sent_attributes(self) -> dict[str, AttributeValue] | None:
        """Attributes by name, unknown ones left out; None if none were sent."""
        return sent_attributes_of(self)

    @model_validator(mode="after")
    def _something(self) -> PostRequest:
        if not (shows(self.text) or self.images or self.video):
            raise ValueError("the post is empty: expected a text, an image or a video")
        return self


def post_model(attributes: Sequence[Attribute] = ()) -> type[PostRequest]:
    """The model of a post to moderate.

    Args:
        attributes: that a post may have.
    """
    return with_attributes(
        PostRequest,
        "post",
        attributes,
        "Attributes of the post that the model was trained with; each may be left out, which says "
        "that it is not known.",
    )


class PostResponse(BaseModel):
    """The decision about a post, and its grounds."""

    post_id: PostId
    decision: Decision = Field(
        description="Decision: allow the post, have a person review it, or remove it; PENDING "
        "while its video is analysed."
    )
    method: Literal["rule", "model", "fallback", "pending"] = Field(
        description="What decided: a rule, the models, or a fallback because the models were "
        "unavailable; `pending` while the video is analysed."
    )
    reason: fields.Reason
    rule_id: fields.RuleId
    policy: str | None = Field(
        description="Id of the policy that decided; `undecoded` if media could not be decoded; "
        "null if neither."
    )
    policies: dict[str, PolicyAnswer] = Field(
        description="Result by policy; empty if no model was used."
    )
    presence: dict[str, Literal["present", "absent", "failed"]] = Field(
        description="State of each modality of the post (`text`, `image`, `video`): present, "
        "absent, or present and not decodable."
    )
    attributes: dict[str, str | bool | float] = Field(
        {},
        description="Attributes of the post, as they were sent; those that are not known are left "
        "out. Empty if the model was trained without attributes.",
    )
    hits: list[HitAnswer] = Field(description="Matches of word lists and of known media.")
    undecoded: list[UndecodedAnswer] = Field(
        description="Images and videos that could not be fetched or decoded."
    )
    model_version: fields.ModelVersion
    policies_version: str = Field(description="Version of the policies that were applied.")
    rules_version: fields.RulesVersion
    stages_ms: dict[str, float] = Field(
        description="Time of each stage, in milliseconds: `decode`, `rules` and `models`."
    )
    latency_ms: fields.LatencyMs
    request_id: fields.RequestId

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
            attributes=dict(result.prepared.post.attributes),
            hits=result.hits,
            undecoded=list(result.prepared.undecoded),
            model_version=result.model_version,
            policies_version=result.bundle.version,
            rules_version=rules_version,
            stages_ms={name: round(ms, 3) for name, ms in result.stages_ms.items()},
            latency_ms=context.latency_ms(),
            request_id=context.request_id,
        )


class PostView(BaseModel):
    """Current decision about a post, its first answer, and the outcomes of reviews."""

    post_id: PostId
    author_id: str = Field(description="Id of the author.")
    decision: Decision = Field(
        description="Current decision: that of people if there is one, otherwise the newest of the "
        "service."
    )
    decided_by: Literal["people", "rule", "model", "fallback", "pending"] = Field(
        description="What made the current decision."
    )
    first: PostResponse = Field(description="First answer to the post.")
    afterwards: dict[str, JsonValue] | None = Field(
        description="Decision of the models that was made later, for a video or after a fallback; "
        "null if there is none."
    )
    outcomes: list[CaseOutcome] = Field(
        description="Outcomes of reviews and appeals, the newest first."
    )
    request_id: fields.RequestId


class HistoryResponse(BaseModel):
    """Audit log of a post in review."""

    post_id: PostId
    entries: list[CaseEntry] = Field(description="Entries of the audit log, the oldest first.")
    request_id: fields.RequestId


class AppealRequest(fields.RequestBody):
    """An author's appeal against a removal."""

    post_id: Id = Field(description="Id of the removed post.")
    author_id: Id = Field(description="Id of the author who appeals; must be the post's author.")
    statement: Note = Field(description="Statement of the author.")


class AppealResponse(BaseModel):
    """The review item of an appeal."""

    item_id: ItemId
    new: bool = Field(
        description="True if the appeal was stored for the first time, false if it was repeated."
    )
    request_id: fields.RequestId


class ClaimedItem(ClaimedFields):
    """A review item that is leased to the reviewer."""

    post_id: PostId
    reach: int = Field(description="Number of views of the post, so far or expected.")
    policy_version: str = Field(description="Version of the policies that applied to the post.")
    language: str | None = Field(
        description="Language of the post as a BCP 47 tag; null if unknown."
    )
    shown: dict[str, JsonValue] = Field(
        description="Content to show to the reviewer: text, digests of media, matches of lists."
    )


class ClaimsResponse(ClaimsOf[ClaimedItem]):
    """Review items that are leased to the reviewer."""


class PostItem(fields.RowAnswer):
    """An item and the post that it is about."""

    item_id: ItemId
    post_id: PostId


class DecideResponse(StoredVerdict, PostItem):
    """The verdict as it was stored, and the outcome of the case."""

    outcome: CaseOutcome | None = Field(
        description="Newest outcome of the post; null while its case is open."
    )
    request_id: fields.RequestId


class PolicyView(fields.RowAnswer):
    """A policy as reviewers read it."""

    id: str = Field(description="Id of the policy.")
    description: str = Field(description="Description of what violates the policy.")
    severity: int = Field(description="Severity of a violation, 1 (low) to 5 (high).")
    version: int = Field(description="Version of the policy.")


class PoliciesResponse(BaseModel):
    """The active policies."""

    version: str = Field(description="Version of the policies as a whole.")
    policies: list[PolicyView] = Field(description="The active policies.")
    request_id: fields.RequestId


class QueueStatsResponse(QueueFiguresResponse):
    """State of the review queue, and agreement and accuracy of the reviewers."""

    price: float = Field(
        description="Price of a review beyond its cost, in the unit of the policies' costs; 0 "
        "while reviewers have capacity."
    )


class ExplanationResponse(BaseModel):
    """The parts of a post that indicate a violation of a policy."""

    post_id: PostId
    policy: str = Field(description="Id of the policy.")
    model_version: str = Field(description="Version of the model that was explained.")
    explanation: dict[str, JsonValue] = Field(
        description="`probability` of a violation; `modalities`, the contribution of each modality "
        "to the log-odds, and of all attributes together; by modality its words, heat maps (PNG in "
        "Base64) or video segments with their contributions; and `attributes`, the contribution of "
        "each."
    )
    request_id: fields.RequestId
