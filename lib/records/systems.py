"""The systems whose decisions are recorded: a new one adds itself to `System` and `SYSTEMS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sqlalchemy import ColumnElement, Table, select

from lib.declaration import entry_of
from lib.records.errors import RecordsError
from lib.records.schema import (
    CUSTOMER_HEALTH,
    CUSTOMER_STANDINGS,
    CUSTOMER_STEPS,
    FACTS,
    HEALTH_OVERRIDES,
    INTERVENTION_OUTCOMES,
    INTERVENTION_PLANS,
    INTERVENTIONS,
    SCHEDULE_CHANGES,
    SCHEDULES,
    WORK_ORDERS,
)

System: TypeAlias = Literal["fraud", "maintenance", "churn", "moderation"]
"""Names of the systems, as the options of commands list them."""
RowsOf: TypeAlias = Callable[[str], Sequence[tuple[Table, ColumnElement[bool]]]]


@dataclass(frozen=True, slots=True)
class RecordedSystem:
    """What the records need to know of a system.

    Attributes:
        entities: kinds of entity to their names in decisions; the first is the usual one, by which
            decisions are indexed.
        fact_kinds: what may become known of a subject later; of systems that decide about an entity
            again and again the subject is the entity of the usual kind.
        reviewed: decisions that people look at, queued for review in the transaction that stores
            them; none where the service queues by itself.
        rows_of: tables of its own with the rows about an entity of the usual kind, those that
            refer to others first.
        plans: tables of its own about many entities, to the columns of JSON that name them.
    """

    entities: Mapping[str, str]
    fact_kinds: tuple[str, ...] = ()
    reviewed: tuple[str, ...] = ()
    rows_of: RowsOf = lambda _: ()
    plans: Mapping[Table, tuple[str, ...]] = field(default_factory=dict)


def _facts_of(system: str, entity_id: str) -> tuple[Table, ColumnElement[bool]]:
    return FACTS, (FACTS.c.system == system) & (FACTS.c.subject_id == entity_id)


def _rows_of_customer(customer_id: str) -> Sequence[tuple[Table, ColumnElement[bool]]]:
    chosen = select(INTERVENTIONS.c.id).where(INTERVENTIONS.c.customer_id == customer_id)
    outcomes = INTERVENTION_OUTCOMES
    tables = (
        *(INTERVENTIONS, CUSTOMER_HEALTH, CUSTOMER_STANDINGS, HEALTH_OVERRIDES, CUSTOMER_STEPS),
    )
    return (
        (outcomes, outcomes.c.intervention_id.in_(chosen)),
        *((table, table.c.customer_id == customer_id) for table in tables),
        _facts_of("churn", customer_id),
    )


SYSTEMS: Mapping[str, RecordedSystem] = {
    "fraud": RecordedSystem(
        {"user": "user_id", "device": "device_id", "merchant": "merchant_id"},
        fact_kinds=("fraud", "declined"),
        reviewed=("REVIEW",),
    ),
    "maintenance": RecordedSystem(
        {"machine": "machine_id"},
        fact_kinds=("failure", "finding"),
        reviewed=("INSPECT",),
        rows_of=lambda machine_id: (
            (WORK_ORDERS, WORK_ORDERS.c.machine_id == machine_id),
            (SCHEDULE_CHANGES, SCHEDULE_CHANGES.c.machine_id == machine_id),
            _facts_of("maintenance", machine_id),
        ),
        plans={SCHEDULES: ("request", "plan")},
    ),
    "churn": RecordedSystem(
        {"customer": "customer_id"},
        fact_kinds=("notice", "left", "at_risk"),
        reviewed=("CONTACT", "ACT_NOW"),
        rows_of=_rows_of_customer,
        plans={INTERVENTION_PLANS: ("request", "summary")},
    ),
    "moderation": RecordedSystem({"author": "author_id"}),
}


def usual_entity(system: str) -> str | None:
    """Name of the entity by which decisions of a system are indexed; None for an unknown system."""
    names = SYSTEMS[system].entities.values() if system in SYSTEMS else ()
    return next(iter(names), None)


def recorded_system(name: str) -> RecordedSystem:
    """What is known of a system.

    Raises:
        RecordsError: there is none of that name.
    """
    return entry_of(SYSTEMS, name, "system", RecordsError)
