"""Machines that people want looked at, and notes about them, over HTTP."""

from __future__ import annotations

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.maintenance.inspection import ask_inspection, newest_decision, note_machine
from lib.maintenance.machine_decisions import MachineRecords
from lib.records import Decision
from serve.framework import RequestContext
from serve.framework.decision import ServiceParts
from serve.framework.review import ReviewService, key_of
from serve.maintenance.machine_schemas import (
    InspectRequest,
    InspectResponse,
    MachineNoteRequest,
    MachineNoteResponse,
)


class Inspections:
    """What people ask for and note about machines.

    Every method raises a Problem: 403 for a name that the key may not act under; and
    UnknownMachineError where nothing was decided about the machine.

    Args:
        parts: of the application.
        review: the queue.
        records: decisions about machines.
    """

    def __init__(self, parts: ServiceParts, review: ReviewService, records: MachineRecords) -> None:
        self._queue, self._records, self._clock = review.queue, records, parts.clock
        self._decision_store = parts.decision_store
        self._threads = BoundedExecutor("inspections", 1)

    async def ask(
        self, machine_id: str, request: InspectRequest, context: RequestContext
    ) -> InspectResponse:
        """The review item of a machine; see `ask_inspection`."""
        key, decision = key_of(request.author, context, "author"), await self._newest(machine_id)
        case = await self._threads.run(
            ask_inspection, self._queue, decision, request.author, key.id, request.note,
            self._clock.now(),
        )  # fmt: skip
        context.log_fields["machine_id"] = machine_id
        return InspectResponse(
            machine_id=machine_id, item_id=case.item_id, repeated=not case.is_new,
            closed=case.is_closed, request_id=context.request_id,
        )  # fmt: skip

    async def note(
        self, machine_id: str, request: MachineNoteRequest, context: RequestContext
    ) -> MachineNoteResponse:
        """A note about a machine; see `note_machine`."""
        key, decision = key_of(request.author, context, "author"), await self._newest(machine_id)
        fresh = await self._threads.run(
            note_machine, self._queue, decision, request.author, key, request.note,
            self._clock.now(),
        )  # fmt: skip
        context.log_fields["machine_id"] = machine_id
        return MachineNoteResponse(
            machine_id=machine_id, repeated=not fresh, request_id=context.request_id
        )

    async def _newest(self, machine_id: str) -> Decision:
        await self._decision_store.drain()  # a decision of just now counts
        return await self._threads.run(newest_decision, self._records, machine_id)
