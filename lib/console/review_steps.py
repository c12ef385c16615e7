"""Which steps of the review queue may be shown to whoever is to judge a subject next."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from lib.records.review.models import AuditEntry

NEUTRAL = ("noted", "assigned", "snoozed", "escalated")
"""Steps that say nothing of who was asked before, and what they said."""
_BEGUN, _FIRST, _STATED = "opened", "review", "stated"


def is_open_to_all(entry: AuditEntry) -> bool:
    """Whether a step of the audit sways nobody: a neutral one, or that a first opinion was due."""
    is_first = (entry.after or {}).get("kind") == _FIRST and entry.rule != _STATED
    return (entry.what == _BEGUN and is_first) or entry.what in NEUTRAL


def open_to_all(columns: Any) -> ColumnElement[bool]:
    """The same for the columns of the audit."""
    is_first = and_(
        columns.after["kind"].as_string() == _FIRST, columns.rule.is_distinct_from(_STATED)
    )
    return or_(columns.what.in_(NEUTRAL), and_(columns.what == _BEGUN, is_first))
