"""The queue of what people decide, for every system: leases, verdicts, outcomes, labels, audit."""

from lib.records.review.claims import Mixer, QueueEntry
from lib.records.review.models import (
    AuditEntry,
    Claim,
    ContradictedVerdictError,
    GoldenItem,
    ItemKind,
    Label,
    LeaseLostError,
    Outcome,
    RepeatedOpinionError,
    ReviewItem,
    ReviewKey,
    Step,
    UnknownItemError,
    Verdict,
)
from lib.records.review.queue import NextStep, ReviewStore
from lib.records.review.statistics import GoldenAnswer, OpinionPair, QueueFigures

__all__ = [
    "AuditEntry",
    "Claim",
    "ContradictedVerdictError",
    "GoldenAnswer",
    "GoldenItem",
    "ItemKind",
    "Label",
    "LeaseLostError",
    "Mixer",
    "NextStep",
    "OpinionPair",
    "Outcome",
    "QueueEntry",
    "QueueFigures",
    "RepeatedOpinionError",
    "ReviewItem",
    "ReviewKey",
    "ReviewStore",
    "Step",
    "UnknownItemError",
    "Verdict",
]
