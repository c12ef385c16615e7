"""The queue of what people decide, for every system: leases, verdicts, outcomes, labels, audit."""

from lib.records.review.models import (
    Claim,
    ContradictedVerdictError,
    GoldenItem,
    ItemKind,
    LeaseLostError,
    Outcome,
    RepeatedOpinionError,
    ReviewItem,
    ReviewKey,
    Step,
    UnknownItemError,
    Verdict,
)
from lib.records.review.queue import ReviewStore
from lib.records.review.statistics import GoldenAnswer, OpinionPair, QueueReason

__all__ = [
    "Claim",
    "ContradictedVerdictError",
    "GoldenAnswer",
    "GoldenItem",
    "ItemKind",
    "LeaseLostError",
    "OpinionPair",
    "Outcome",
    "QueueReason",
    "RepeatedOpinionError",
    "ReviewItem",
    "ReviewKey",
    "ReviewStore",
    "Step",
    "UnknownItemError",
    "Verdict",
]
