"""What is told of a result: to the caller, to the records, and to whoever counts."""

from __future__ import annotations

from typing import Any

from lib.moderation.model import SYSTEM
from serve.framework import Metrics, RequestContext
from serve.framework.decision_store import DecisionCounter, decision_row
from serve.moderation import metrics
from serve.moderation.post_preparation import request_row
from serve.moderation.result import ModerationResult
from serve.moderation.schemas import PostResponse

CONTENT_DIGEST = "content_digest"
"""Where the record of a post keeps what tells it from another one under its id."""


def to_response(
    result: ModerationResult, rules_version: str, context: RequestContext
) -> PostResponse:
    """The answer to a post."""
    choice = result.choice
    return PostResponse(
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


def to_record(
    result: ModerationResult,
    answer: PostResponse,
    digest: str,
    content: str,
    received: int,
    decided: int,
) -> dict[str, Any]:
    """The record of what was answered.

    Args:
        result: how it came about.
        answer: as it was given.
        digest: of the features of authors.
        content: see `content_digest`.
        received: microseconds since 1970 UTC.
        decided: likewise.
    """
    post = result.prepared.post
    return decision_row(
        answer.model_dump(mode="json"),
        result.verdict,
        result.history,
        system=SYSTEM,
        subject_id=post.post_id,
        entities={"author_id": post.author_id},
        event_time=post.created_at_us,
        received_at=received,
        decided_at=decided,
        score=None if result.probabilities is None else float(result.probabilities.max()),
        reasons=[hit.model_dump() for hit in answer.hits],
        rules_version=answer.rules_version,
        feature_set_digest=digest,
        request={**request_row(result.prepared), CONTENT_DIGEST: content},
    )


def record_metrics(
    counter: DecisionCounter, meter: Metrics, result: ModerationResult, context: RequestContext
) -> None:
    """Counts a result, and adds it to the log line of its request."""
    choice = result.choice
    unavailable = "model" if result.history else "store"
    counter.count(context.log_fields, choice.decision, choice.method, result.verdict, unavailable)
    for name, policy in result.policies.items():
        if policy.action != "ALLOW":
            meter.count(metrics.POLICIES, name, policy.action)
    for hit in result.hits:
        meter.count(metrics.HITS, hit.kind)
    for stage, ms in result.stages_ms.items():
        meter.observe(metrics.STAGE_MS, ms, stage)
