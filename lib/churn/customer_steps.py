"""What people did about customers: an audit to which rows are added and in which none changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, insert

from lib.records.models import Json, require_fields
from lib.records.repository import Repository, list_rows
from lib.records.schema import CUSTOMER_STEPS

Action: TypeAlias = Literal[
    "overridden",
    "override withdrawn",
    "outcome reported",
    "outcome withdrawn",
    "interventions stopped",
    "interventions resumed",
]
STOPPED: Action = "interventions stopped"
RESUMED: Action = "interventions resumed"


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerStep:
    """Something that a person did.

    Attributes:
        at: when, microseconds since 1970 UTC.
        author: name of the person; "-" where the caller gave none.
        key_id: of the API key.
        action: what was done.
        subject_id: to what: the override, the intervention, or the request that stopped all.
        customer_id: of the customer; None where it concerns all of them.
        detail: reason and content.
    """

    at: int
    author: str
    key_id: str
    action: Action
    subject_id: str
    customer_id: str | None
    detail: Mapping[str, Json]

    def __post_init__(self) -> None:
        require_fields(self, ("author", "key_id", "subject_id"), ("at",))


class CustomerStepRepository(Repository):
    """Steps, the newest first."""

    def list_steps(self, *conditions: ColumnElement[bool], limit: int) -> list[CustomerStep]:
        """The newest steps of which conditions on `CUSTOMER_STEPS` hold."""
        with self._database.reading() as connection:
            return newest_steps(connection, *conditions, limit=limit)

    def list_steps_of_customer(self, customer_id: str, limit: int) -> list[CustomerStep]:
        """The newest steps about a customer."""
        return self.list_steps(CUSTOMER_STEPS.c.customer_id == customer_id, limit=limit)


def newest_steps(
    connection: Connection, *conditions: ColumnElement[bool], limit: int
) -> list[CustomerStep]:
    """The newest steps, within a transaction."""
    table = CUSTOMER_STEPS.c
    order = [table.at.desc(), table.id.desc()]
    return list_rows(
        connection, CustomerStep, CUSTOMER_STEPS, *conditions, order=order, limit=limit
    )


def add_steps(connection: Connection, steps: Sequence[CustomerStep]) -> None:
    """Add steps, within the transaction of what they tell of."""
    if steps:
        connection.execute(insert(CUSTOMER_STEPS), [asdict(step) for step in steps])
