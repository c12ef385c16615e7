"""The switch that stops all interventions: an audited step that holds until another lifts it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection

from lib.churn.customer_steps import (
    RESUMED,
    STOPPED,
    CustomerStep,
    CustomerStepRepository,
    add_steps,
)
from lib.records.errors import RecordsError
from lib.records.models import require_note
from lib.records.repository import list_rows
from lib.records.schema import CUSTOMER_STEPS

PLANS_TURN = 0x506C616E  # "Plan"
"""The lock of those who store plans, and of those who stop them."""


class SwitchUnchangedError(RecordsError):
    """Interventions are stopped already, or go on already."""


class RepeatedSwitchError(RecordsError):
    """The id of the request names one that did the opposite."""


class SwitchRepository(CustomerStepRepository):
    """Whether all interventions are stopped."""

    def find_stop(self) -> CustomerStep | None:
        """Who stopped all interventions, when and why; None while they go on."""
        with self._database.reading() as connection:
            return stop_in_force(connection)

    def set_switch(
        self, *, stopped: bool, author: str, key_id: str, reason: str, at: int, request_id: str
    ) -> CustomerStep:
        """Stop all interventions, or let them go on; the same request again changes nothing.

        Args:
            stopped: whether nobody is planned for from now on.
            author: name of the person.
            key_id: of the API key.
            reason: why.
            at: microseconds since 1970 UTC.
            request_id: names the request.

        Raises:
            SwitchUnchangedError: it is so already.
            RepeatedSwitchError: the id names a request that did the opposite.
        """
        require_note("reason", reason)
        step = CustomerStep(
            at=at,
            author=author,
            key_id=key_id,
            action=STOPPED if stopped else RESUMED,
            subject_id=request_id,
            customer_id=None,
            detail={"reason": reason},
        )
        with self._database.writing() as connection:
            self._database.take_turn(connection, PLANS_TURN)
            stored = _newest_switch(connection, CUSTOMER_STEPS.c.subject_id == request_id)
            if stored is not None:
                return _require_same_action(stored, step)
            newest = _newest_switch(connection)
            if (newest is not None and newest.action == STOPPED) == stopped:
                raise SwitchUnchangedError(_switch_text(newest))
            add_steps(connection, [step])
        return step


def _newest_switch(connection: Connection, *conditions: ColumnElement[bool]) -> CustomerStep | None:
    """The last step of which conditions hold, in the order of turns: clocks may differ."""
    table = CUSTOMER_STEPS.c
    conditions = (table.action.in_((STOPPED, RESUMED)), *conditions)
    rows = list_rows(
        connection, CustomerStep, CUSTOMER_STEPS, *conditions, order=[table.id.desc()], limit=1
    )
    return next(iter(rows), None)


def _require_same_action(stored: CustomerStep, step: CustomerStep) -> CustomerStep:
    if stored.action != step.action:
        raise RepeatedSwitchError(
            f"the id of the request names an earlier one: {stored.action} by {stored.author}"
        )
    return stored


def stop_in_force(connection: Connection) -> CustomerStep | None:
    """The step that stopped all interventions; None while they go on."""
    newest = _newest_switch(connection)
    return newest if newest is not None and newest.action == STOPPED else None


def _switch_text(newest: CustomerStep | None) -> str:
    if newest is None:
        return "interventions go on: nobody has stopped them"
    return f"{newest.action} already, by {newest.author}"
