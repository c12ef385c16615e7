"""What every system decided, on what, and what became known later.

Records keeps decisions, facts and re-scored fallbacks in SQLite or PostgreSQL. DecisionLog keeps
a decision that was answered but not yet stored on the local disk.
"""

from lib.records.customer_health import CustomerHealth, HealthEntry, Override
from lib.records.drainer import Drainer
from lib.records.draining import DrainOutcome
from lib.records.entries import Decision, Fact, FactKind, Json
from lib.records.errors import DecisionLogFullError, RecordsError, RecordsUnavailableError
from lib.records.interventions import (
    ContradictedOutcomeError,
    Intervention,
    InterventionOutcome,
    Interventions,
    StoredPlan,
    UnknownInterventionError,
)
from lib.records.journal import DecisionLog
from lib.records.records import DecisionOutcome, LabelOutcome, Records
from lib.records.rescoring import Rescore
from lib.records.work_orders import (
    ClosedOrderError,
    StoredSchedule,
    UnknownOrderError,
    WorkOrder,
    WorkOrders,
)

__all__ = [
    "ClosedOrderError",
    "ContradictedOutcomeError",
    "CustomerHealth",
    "Decision",
    "DecisionLog",
    "DecisionLogFullError",
    "DecisionOutcome",
    "DrainOutcome",
    "Drainer",
    "Fact",
    "FactKind",
    "HealthEntry",
    "Intervention",
    "InterventionOutcome",
    "Interventions",
    "Json",
    "LabelOutcome",
    "Override",
    "Records",
    "RecordsError",
    "RecordsUnavailableError",
    "Rescore",
    "StoredPlan",
    "StoredSchedule",
    "UnknownInterventionError",
    "UnknownOrderError",
    "WorkOrder",
    "WorkOrders",
]
