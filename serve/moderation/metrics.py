"""What the moderation application counts."""

from __future__ import annotations

from serve.framework import Metric
from serve.framework.decision_store import RECORD_FAULTS
from serve.framework.gateway import REQUEST_MS, REQUESTS
from serve.framework.metrics import MILLISECONDS
from serve.framework.rescoring import RESCORE_FAULTS

DECISIONS = "forewarn_moderation_decisions"
POLICIES = "forewarn_moderation_policies"
UNDECODED = "forewarn_moderation_undecoded"
HITS = "forewarn_moderation_hits"
RULE_HITS = "forewarn_moderation_rule_hits"
FALLBACKS = "forewarn_moderation_fallbacks"
RETRIES = "forewarn_moderation_retries"
RESCORED = "forewarn_moderation_rescored"
RELOADS = "forewarn_moderation_reloads"
STAGE_MS = "forewarn_moderation_stage_ms"
CLAIMED = "forewarn_moderation_claimed"
VERDICTS = "forewarn_moderation_verdicts"
APPEALS = "forewarn_moderation_appeals"
BATCH_POSTS = "forewarn_moderation_batch_posts"

BATCH = Metric(
    BATCH_POSTS,
    "posts judged by one call of a model",
    ("modality",),
    (1, 2, 4, 8, 16, 32, 64),
)

INSTRUMENTS = (
    REQUESTS,
    REQUEST_MS,
    RECORD_FAULTS,
    RESCORE_FAULTS,
    Metric(DECISIONS, "posts decided", ("decision", "method")),
    Metric(POLICIES, "posts that a policy would have acted on", ("policy", "action")),
    Metric(UNDECODED, "media that could not be used", ("modality", "reason")),
    Metric(HITS, "hits of hashes and word lists", ("kind",)),
    Metric(RULE_HITS, "rules that fired", ("rule", "status")),
    Metric(FALLBACKS, "answers of a fallback, by what was out", ("out",)),
    Metric(RETRIES, "posts that were decided before"),
    Metric(RESCORED, "fallbacks and videos judged afterwards"),
    Metric(RELOADS, "loads of a model, of rules, policies and lists", ("part", "outcome")),
    Metric(STAGE_MS, "time of a stage of a decision, ms", ("stage",), MILLISECONDS),
    Metric(CLAIMED, "review items leased"),
    Metric(VERDICTS, "decisions of reviewers", ("kind", "outcome")),
    Metric(APPEALS, "appeals of authors", ("outcome",)),
    BATCH,
)
