"""What became of a planned service, as people report it; the same in the console and over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lib.contract.fields import Amount, Id, Moment, Note, optional, text_of
from lib.maintenance.repository import OrderCloser, WorkOrder, WorkOrderRepository

if TYPE_CHECKING:
    _Parts = str
else:
    _Parts = text_of(4000)


class Outcome(BaseModel):
    """The outcome of a work order."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    result: Literal["done", "not_done", "failed_before"] = Field(
        description="Result: the service was done, was not done, or the machine failed before it."
    )
    event_time: Moment = Field(
        description="Time at which the machine was back in operation or, for `not_done`, of the "
        "decision not to do the service; ISO 8601 with an offset."
    )
    component: Id | None = optional(
        "Component that was renewed. Default: the component of the work order, or the "
        "whole machine if that has none."
    )
    failure_mode: Id | None = optional("Failure mode; required for `failed_before`.")
    failed_at: Moment | None = optional(
        "Time of the failure, ISO 8601 with an offset; required for `failed_before`."
    )
    downtime_hours: Amount | None = optional(
        "Time that the machine stood, in hours; null if unknown."
    )
    cost: Amount | None = optional(
        "Cost of labour and parts, in the schedule's currency; null if unknown."
    )
    parts_replaced: _Parts | None = optional(
        "Parts that were replaced, separated by commas; null if unknown."
    )
    note: Note | None = optional("Note of the person who reports the outcome.")

    @model_validator(mode="after")
    def _a_failure_has_a_time(self) -> Outcome:
        if self.result == "failed_before":
            if self.failed_at is None or self.failure_mode is None:
                raise ValueError("failed_before: expected failed_at and failure_mode, too")
            if self.failed_at > self.event_time:
                raise ValueError("failed_at: expected before event_time, when it ran again")
        return self


class UnreportableOutcomeError(ValueError):
    """The outcome cannot be meant; the message names the field."""


def close_with(
    repository: WorkOrderRepository,
    order_id: str,
    outcome: Outcome,
    at: int,
    latest: int,
    closer: OrderCloser,
) -> tuple[WorkOrder, bool]:
    """Close a work order; returns it, and whether it was open until now.

    What follows from it for the machine's features and labels is done by the maintenance service,
    at once or within seconds.

    Args:
        repository: of the orders.
        order_id: which.
        outcome: of the service.
        at: when it is reported, microseconds since 1970 UTC.
        latest: event times after it are refused, microseconds since 1970 UTC.
        closer: who reports it.

    Raises:
        UnknownOrderError, ClosedOrderError: see `WorkOrderRepository.close_order`.
        UnreportableOutcomeError: it is of the future.
    """
    if outcome.event_time.timestamp() * 1e6 > latest:
        raise UnreportableOutcomeError("event_time: expected a time that is not in the future")
    reported = outcome.model_dump(mode="json", exclude_none=True)
    return repository.close_order(order_id, reported, at, closer)
