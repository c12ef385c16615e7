"""The switch that stops all interventions: an audited step that holds until another lifts it."""

from __future__ import annotations

from sqlalchemy import Connection

from lib.churn.customer_steps import (
    RESUMED,
    STOPPED,
    CustomerStep,
    CustomerStepRepository,
    add_steps,
    newest_steps,
)
from lib.records.errors import RecordsError
from lib.records.models import require_note
from lib.records.schema import CUSTOMER_STEPS

PLANS_TURN = 0x506C616E  # "Plan"
"""The lock of those who store plans, and of those who stop them."""


class SwitchUnchangedError(RecordsError):
    """Interventions are stopped already, or go on already."""


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
            newest = _newest_switch(connection)
            if newest is not None and newest.subject_id == request_id:
                return newest
            if (newest is not None and newest.action == STOPPED) == stopped:
                raise SwitchUnchangedError(_switch_text(newest))
            add_steps(connection, [step])
        return step


def _newest_switch(connection: Connection) -> CustomerStep | None:
    is_switch = CUSTOMER_STEPS.c.action.in_((STOPPED, RESUMED))
    return next(iter(newest_steps(connection, is_switch, limit=1)), None)


def stop_in_force(connection: Connection) -> CustomerStep | None:
    """The step that stopped all interventions; None while they go on."""
    newest = _newest_switch(connection)
    return newest if newest is not None and newest.action == STOPPED else None


def _switch_text(newest: CustomerStep | None) -> str:
    if newest is None:
        return "interventions go on: nobody has stopped them"
    return f"{newest.action} already, by {newest.author}"
