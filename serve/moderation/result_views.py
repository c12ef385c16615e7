"""What is told of a judgement: to the caller, to the records, and to whoever counts."""

from __future__ import annotations

import time
from typing import Any

from lib.moderation.model import SYSTEM
from lib.records import Decision
from serve.framework import Metrics, RequestContext
from serve.moderation import metrics
from serve.moderation.post_preparation import request_row
from serve.moderation.result import ModerationResult
from serve.moderation.schemas import PostResponse

CONTENT_DIGEST = "content_digest"
"""Where the record of a post keeps what tells it from another one under its id."""


def to_response(
    judgement: ModerationResult, rules_version: str, call: RequestContext
) -> PostResponse:
    """The answer to a post."""
    choice = judgement.choice
    return PostResponse(
        post_id=judgement.observation.post.post_id,
        decision=choice.decision,  # type: ignore[arg-type]
        method=choice.method,  # type: ignore[arg-type]
        reason=choice.reason,
        rule_id=judgement.verdict.rule_id if choice.method == "rule" else None,
        policy=choice.policy,
        policies=judgement.policies,
        presence=judgement.presence,  # type: ignore[arg-type]
        hits=judgement.hits,
        undecoded=list(judgement.observation.undecoded),
        model_version=judgement.model_version,
        policies_version=judgement.books.version,
        rules_version=rules_version,
        stages_ms={name: round(ms, 3) for name, ms in judgement.stages_ms.items()},
        latency_ms=round((time.perf_counter() - call.started) * 1000.0, 3),
        request_id=call.request_id,
    )


def to_record(
    judgement: ModerationResult,
    answer: PostResponse,
    digest: str,
    content: str,
    received: int,
    decided: int,
) -> dict[str, Any]:
    """The record of what was answered.

    Args:
        judgement: how it came about.
        answer: as it was given.
        digest: of the features of authors.
        content: see `content_digest`.
        received: microseconds since 1970 UTC.
        decided: likewise.
    """
    post = judgement.observation.post
    decision = Decision(
        system=SYSTEM,
        subject_id=post.post_id,
        entities={"author_id": post.author_id},
        event_time=post.created_at_us,
        received_at=received,
        decided_at=decided,
        decision=answer.decision,
        score=None if judgement.probabilities is None else float(judgement.probabilities.max()),
        method=answer.method,
        rule_id=answer.rule_id,
        reasons=[hit.model_dump() for hit in answer.hits],
        rule_hits=list(judgement.verdict.hits),
        shadow_hits=list(judgement.verdict.shadow_hits),
        model_version=answer.model_version,
        rules_version=answer.rules_version,
        feature_set_digest=digest,
        features=judgement.history,
        request_id=answer.request_id,
        latency_ms=answer.latency_ms,
        answer=answer.model_dump(mode="json"),
        request={**request_row(judgement.observation), CONTENT_DIGEST: content},
    )
    return decision.to_row()


def record_metrics(meter: Metrics, judgement: ModerationResult, call: RequestContext) -> None:
    """Counts a judgement, and notes it for the log line of its request."""
    choice = judgement.choice
    call.notes.update(decision=choice.decision, by=choice.method)
    meter.count(metrics.DECISIONS, choice.decision, choice.method)
    for name, policy in judgement.policies.items():
        if policy.action != "ALLOW":
            meter.count(metrics.POLICIES, name, policy.action)
    for hit in judgement.hits:
        meter.count(metrics.HITS, hit.kind)
    if choice.method == "fallback":
        meter.count(metrics.FALLBACKS, "model" if judgement.history else "store")
    for status, hits in (
        ("active", judgement.verdict.hits),
        ("shadow", judgement.verdict.shadow_hits),
    ):
        for rule in hits:
            meter.count(metrics.RULE_HITS, rule, status)
    for stage, ms in judgement.stages_ms.items():
        meter.observe(metrics.STAGE_MS, ms, stage)
