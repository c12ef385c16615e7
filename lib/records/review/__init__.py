"""The queue of what people decide, for every system: leases, verdicts, outcomes, labels, audit."""

from lib.records.review.models import (
    Claim,
    ContradictedVerdictError,
    GoldenItem,
    ItemKind,
    Lease,
    LeaseLostError,
    Outcome,
    RepeatedOpinionError,
    ReviewItem,
    ReviewKey,
    Step,
    UndoRefusedError,
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
    "Lease",
    "LeaseLostError",
    "OpinionPair",
    "Outcome",
    "QueueReason",
    "RepeatedOpinionError",
    "ReviewItem",
    "ReviewKey",
    "ReviewStore",
    "Step",
    "UndoRefusedError",
    "UnknownItemError",
    "Verdict",
]
