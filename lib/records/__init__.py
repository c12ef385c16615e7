"""What every system decided, on what, and what became known later.

Records keeps decisions, facts and re-scored fallbacks in SQLite or PostgreSQL. DecisionLog keeps
a decision that was answered but not yet stored on the local disk. `lib.records.review` is the
queue of what people decide.
"""

from lib.records.drain_process import DrainProcess
from lib.records.draining import DrainOutcome
from lib.records.errors import (
    DecisionLogFullError,
    RecordsError,
    RecordsUnavailableError,
    RefusedRowsError,
)
from lib.records.journal import DecisionLog
from lib.records.models import Decision, Fact, Json
from lib.records.records import DecisionOutcome, LabelOutcome, Records
from lib.records.rescoring import Rescore

__all__ = [
    "Decision",
    "DecisionLog",
    "DecisionLogFullError",
    "DecisionOutcome",
    "DrainOutcome",
    "DrainProcess",
    "Fact",
    "Json",
    "LabelOutcome",
    "Records",
    "RecordsError",
    "RecordsUnavailableError",
    "RefusedRowsError",
    "Rescore",
]
