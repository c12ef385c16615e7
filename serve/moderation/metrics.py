"""What the moderation application counts."""

from serve.framework import Metric
from serve.framework.metrics import MILLISECONDS, attribute_states, common_metrics

POLICIES = "forewarn_moderation_policies"
UNDECODED = "forewarn_moderation_undecoded"
HITS = "forewarn_moderation_hits"
RETRIES = "forewarn_moderation_retries"
STAGE_MS = "forewarn_moderation_stage_ms"
APPEALS = "forewarn_moderation_appeals"
ATTRIBUTES = "forewarn_moderation_attributes"
BATCH_POSTS = "forewarn_moderation_batch_posts"

BATCH = Metric(
    BATCH_POSTS,
    "posts judged by one call of a model",
    ("modality",),
    (1, 2, 4, 8, 16, 32, 64),
)

INSTRUMENTS = (
    *common_metrics("moderation"),
    Metric(POLICIES, "posts that a policy would have acted on", ("policy", "action")),
    Metric(UNDECODED, "media that could not be used", ("modality", "reason")),
    Metric(HITS, "hits of hashes and word lists", ("kind",)),
    Metric(RETRIES, "posts that were decided before"),
    Metric(STAGE_MS, "time of a stage of a decision, ms", ("stage",), MILLISECONDS),
    Metric(APPEALS, "appeals of authors", ("outcome",)),
    attribute_states(ATTRIBUTES, "posts sent"),
    BATCH,
)
