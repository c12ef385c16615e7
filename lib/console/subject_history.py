"""What people did with a subject, without what would sway whoever is to judge it next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lib.console.review_steps import NEUTRAL
from lib.console.source import SystemSource
from lib.records.review.models import AuditEntry

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """What somebody did with a subject.

    Attributes:
        at: microseconds since 1970 UTC.
        person: who, or the part of the service.
        action: what.
        verdicts: on each question, where the step has any.
        note: in words; "" for none.
        statement: names a verdict on several subjects at once; "" for none.
    """

    at: int
    person: str
    action: str
    verdicts: Mapping[str, bool] = field(default_factory=dict)
    note: str = ""
    statement: str = ""


def read_history(source: SystemSource, subject_id: str) -> tuple[HistoryLine, ...]:
    """What people did, the latest first; while it waits for an opinion, no earlier one is shown."""
    records = source.records
    is_blind = records.has_open_item(subject_id)
    verdicts = records.list_verdicts(subject_id)
    notes = {verdict.item_id: verdict.note for verdict in verdicts}
    entries = records.list_history(subject_id)[-_SHOWN:]
    return tuple(
        _line(entry, notes) for entry in reversed(entries) if not is_blind or entry.what in NEUTRAL
    )


def _line(entry: AuditEntry, notes: Mapping[str, str | None]) -> HistoryLine:
    after = entry.after or {}
    verdicts = after.get("verdicts")
    note = after.get("note") or (notes.get(entry.item_id) if entry.what == "decided" else None)
    named = verdicts if isinstance(verdicts, Mapping) else {}
    return HistoryLine(
        entry.at,
        entry.who,
        entry.what,
        {name: value is True for name, value in named.items()},
        str(note or ""),
        str(after.get("statement") or ""),
    )
