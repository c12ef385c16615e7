"""Machines that people want looked at, and what they note about them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from lib.maintenance.machine_decisions import MachineDecisionRepository
from lib.maintenance.review import MachineReview
from lib.records import Decision, RecordsError
from lib.records.models import Json
from lib.records.review import ReviewItem, ReviewKey
from lib.review.queue import ReviewQueue

REQUESTED = "asked for"
"""Rule of the review items that people ask for."""


class InspectionCase(NamedTuple):
    """The case of a machine that people want looked at.

    Attributes:
        item_id: of the review item.
        is_new: whether it came into the queue by this request.
        is_closed: whether people decided it already, so that nobody looks again on that day.
    """

    item_id: str
    is_new: bool
    is_closed: bool


class UnknownMachineError(RecordsError):
    """Nothing was decided about the machine."""


def ask_inspection(
    queue: ReviewQueue, decision: Decision, by: str, key_id: str, note: str | None, now: int
) -> InspectionCase:
    """Put a machine into the review queue.

    A machine is one case a day, whoever wants it: on the same day nothing changes. The day is that
    of the request, however old the decision is.

    Args:
        queue: of the maintenance system.
        decision: the machine's newest.
        by: who asks.
        key_id: of the API key.
        note: what to look for; None without one.
        now: microseconds since 1970 UTC.
    """
    inspected = replace(decision, decision="INSPECT", event_time=now)
    routed = MachineReview().item(inspected, now, queue.settings)
    if routed is None:
        raise ValueError("decision: expected one that people look at")
    shown: dict[str, Json] = {
        "event_time": decision.event_time,
        "asked_by": by,
        "asked_for": note,
    }
    item: ReviewItem = replace(routed, rule=REQUESTED, shown={**routed.shown, **shown})
    is_new = queue.reviews.admit([item], by, key_id) == 1
    is_closed = not is_new and queue.reviews.find_item(item.id).decided_at is not None
    return InspectionCase(item.id, is_new, is_closed)


def note_machine(
    queue: ReviewQueue, decision: Decision, by: str, key: ReviewKey, note: str, now: int
) -> bool:
    """Write a note about a machine into the audit; returns whether it is new.

    Args:
        queue: of the maintenance system.
        decision: the machine's newest.
        by: who notes it.
        key: under which they do.
        note: in words.
        now: microseconds since 1970 UTC.
    """
    history = queue.reviews.list_history(decision.subject_id)
    is_known = any(
        (entry.what, entry.who, entry.after) == ("noted", by, {"note": note}) for entry in history
    )
    if not is_known:
        queue.write_note(MachineReview(), decision, by, note, now, key)
    return not is_known


def newest_decision(records: MachineDecisionRepository, machine_id: str) -> Decision:
    """The newest decision about a machine.

    Raises:
        UnknownMachineError: nothing was decided about it, or all of that is archived.
    """
    newest = records.list_machine_decisions(machine_id, 1)
    decision = records.find_machine_decision(newest[0].subject_id) if newest else None
    if decision is None:
        raise UnknownMachineError(f"nothing was decided about machine {machine_id!r}")
    return decision
