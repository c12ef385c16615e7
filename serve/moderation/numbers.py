"""What the moderation application counts."""

from __future__ import annotations

from serve.gateway import Instrument
from serve.gateway.archive import RECORD_FAULTS
from serve.gateway.gateway import REQUEST_MS, REQUESTS
from serve.gateway.meter import MILLISECONDS
from serve.gateway.redoing import RESCORE_FAULTS

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

BATCH = Instrument(
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
    Instrument(DECISIONS, "posts decided", ("decision", "method")),
    Instrument(POLICIES, "posts that a policy would have acted on", ("policy", "action")),
    Instrument(UNDECODED, "media that could not be used", ("modality", "reason")),
    Instrument(HITS, "hits of hashes and word lists", ("kind",)),
    Instrument(RULE_HITS, "rules that fired", ("rule", "status")),
    Instrument(FALLBACKS, "answers of a fallback, by what was out", ("out",)),
    Instrument(RETRIES, "posts that were decided before"),
    Instrument(RESCORED, "fallbacks and videos judged afterwards"),
    Instrument(RELOADS, "loads of a model, of rules, policies and lists", ("part", "outcome")),
    Instrument(STAGE_MS, "time of a stage of a decision, ms", ("stage",), MILLISECONDS),
    Instrument(CLAIMED, "review items leased"),
    Instrument(VERDICTS, "decisions of reviewers", ("kind", "outcome")),
    Instrument(APPEALS, "appeals of authors", ("outcome",)),
    BATCH,
)
