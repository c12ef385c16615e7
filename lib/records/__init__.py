"""What every system decided, on what, and what became known later.

Records keeps decisions, facts and re-scored fallbacks in SQLite or PostgreSQL. DecisionLog keeps
a decision that was answered but not yet stored on the local disk.
"""

from lib.records.customer_health import CustomerHealth, HealthEntry, Override
from lib.records.drain_process import DrainProcess
from lib.records.draining import DrainOutcome
from lib.records.errors import (
    DecisionLogFullError,
    RecordsError,
    RecordsUnavailableError,
    RefusedRowsError,
)
from lib.records.interventions import (
    ContradictedOutcomeError,
    Intervention,
    InterventionOutcome,
    Interventions,
    StalePlanError,
    StoredPlan,
    UnknownInterventionError,
)
from lib.records.journal import DecisionLog
from lib.records.models import Decision, Fact, FactKind, Json
from lib.records.records import DecisionOutcome, LabelOutcome, Records
from lib.records.rescoring import Rescore
from lib.records.review_claims import Mixer, QueueEntry
from lib.records.review_entries import (
    AuditEntry,
    Claim,
    ContradictedVerdictError,
    GoldenPost,
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
from lib.records.review_figures import GoldenAnswer, OpinionPair, QueueFigures
from lib.records.reviews import NextStep, Reviews
from lib.records.work_orders import (
    ClosedOrderError,
    StoredSchedule,
    UnknownOrderError,
    WorkOrder,
    WorkOrders,
)

__all__ = [
    "AuditEntry",
    "Claim",
    "ClosedOrderError",
    "ContradictedOutcomeError",
    "ContradictedVerdictError",
    "CustomerHealth",
    "Decision",
    "DecisionLog",
    "DecisionLogFullError",
    "DecisionOutcome",
    "DrainOutcome",
    "DrainProcess",
    "Fact",
    "FactKind",
    "GoldenAnswer",
    "GoldenPost",
    "HealthEntry",
    "Intervention",
    "InterventionOutcome",
    "Interventions",
    "ItemKind",
    "Json",
    "Label",
    "LabelOutcome",
    "LeaseLostError",
    "Mixer",
    "NextStep",
    "OpinionPair",
    "Outcome",
    "Override",
    "QueueEntry",
    "QueueFigures",
    "Records",
    "RecordsError",
    "RecordsUnavailableError",
    "RefusedRowsError",
    "RepeatedOpinionError",
    "Rescore",
    "ReviewItem",
    "ReviewKey",
    "Reviews",
    "StalePlanError",
    "Step",
    "StoredPlan",
    "StoredSchedule",
    "UnknownInterventionError",
    "UnknownItemError",
    "UnknownOrderError",
    "Verdict",
    "WorkOrder",
    "WorkOrders",
]
