"""Interventions: which customer was chosen for which playbook, and the outcomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from lib.churn.customer_steps import CustomerStep, add_steps
from lib.churn.intervention_switch import PLANS_TURN, SwitchRepository, stop_in_force
from lib.records.decision_store import subjects_in_parts
from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields, require_note
from lib.records.repository import find_locked_row
from lib.records.schema import (
    INTERVENTION_OUTCOMES,
    INTERVENTION_PLANS,
    INTERVENTIONS,
)

OutcomeKind = Literal["delivered", "left"]


class StalePlanError(RecordsError):
    """Another plan was stored since this one's past was read; make it again."""


class UnknownInterventionError(RecordsError):
    """There is no such plan, intervention or outcome."""


class ContradictedOutcomeError(RecordsError):
    """The opposite outcome of the intervention is stored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPlan:
    """A day's plan. Times are microseconds since 1970 UTC.

    Attributes:
        id: of the plan.
        planned_at: the day.
        created_at: when it was made.
        request: the request.
        summary: hours, cost, value and the rest of the response.
    """

    id: str
    planned_at: int
    created_at: int
    request: Mapping[str, Json]
    summary: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervention:
    """A customer who was chosen for a playbook. Money in currency units.

    Attributes:
        id: of the intervention.
        plan_id: of the plan that chose it.
        customer_id, playbook: the customer and the playbook.
        planned_at: microseconds since 1970 UTC.
        held_out: whether the customer is in the holdout, without treatment.
        propensity: probability of treatment, once chosen.
        chance: predicted probability to leave untreated.
        expected_fall: expected decrease of that probability.
        value: expected, net of cost.
        cost, hours: of the intervention.
    """

    id: str
    plan_id: str
    customer_id: str
    playbook: str
    planned_at: int
    held_out: bool
    propensity: float
    chance: float
    expected_fall: float
    value: float
    cost: float
    hours: float

    def __post_init__(self) -> None:
        require_fields(self, ("id", "plan_id", "customer_id", "playbook"), ("planned_at",))


@dataclass(frozen=True, kw_only=True, slots=True)
class InterventionOutcome:
    """An outcome of an intervention. Times are microseconds since 1970 UTC.

    Attributes:
        intervention_id: of the intervention.
        kind: `delivered`: it took place; `left`: the customer gave notice.
        value: whether it is so.
        observed_at, received_at: when it was observed, and when it was received.
        note: free text.
        author: name of the person who reports it; None where nobody gave one.
        key_id: of the API key; None of what follows from a customer's notice.
    """

    intervention_id: str
    kind: OutcomeKind
    value: bool
    observed_at: int
    received_at: int
    note: str | None = None
    author: str | None = None
    key_id: str | None = None

    def __post_init__(self) -> None:
        require_fields(self, ("intervention_id",), ("observed_at", "received_at"))
        if self.note is not None:
            require_note("note", self.note)


class InterventionRepository(SwitchRepository):
    """Plans, interventions, their outcomes, and whether all of them are stopped."""

    def insert_plan(
        self,
        plan: StoredPlan,
        chosen: Sequence[Intervention],
        past: Sequence[Intervention] | None = None,
        since: int = 0,
    ) -> bool:
        """Store a plan with its interventions, all or none; False where its id is stored already.

        Args:
            plan: a day's plan.
            chosen: its interventions.
            past: what `list_since` answered before the plan was made, so that two plans that are
                made at once do not choose the same customers; None does not check it.
            since: that `past` begins at.

        Raises:
            StalePlanError: another plan was stored, or all interventions were stopped, meanwhile;
                nothing is stored.
        """
        with self._database.writing() as connection:
            if past is not None:
                self._database.take_turn(connection, PLANS_TURN)
                if chosen and stop_in_force(connection) is not None:
                    raise StalePlanError(f"plan {plan.id!r}: all interventions are stopped")
                _require_newest(
                    connection, plan.id, {intervention.plan_id for intervention in past}, since
                )
            return self._insert_with_parts(
                connection, INTERVENTION_PLANS, plan, INTERVENTIONS, chosen
            )

    def find_plan(self, plan_id: str) -> tuple[StoredPlan, list[Intervention]]:
        """A plan and its interventions, the most valuable first.

        Raises:
            UnknownInterventionError: there is none of that id.
        """
        table = INTERVENTIONS.c
        plan = self._find_with_parts(
            StoredPlan, plan_id, INTERVENTION_PLANS,
            Intervention, table.plan_id, [table.value.desc(), table.id],
        )  # fmt: skip
        if plan is None:
            raise UnknownInterventionError(f"plan_id: no plan {plan_id!r} is stored")
        return plan

    def list_plans(self, since: int, until: int, limit: int) -> list[StoredPlan]:
        """Plans that were made from `since` until before `until`, the newest first."""
        table = INTERVENTION_PLANS.c
        return self._list(
            StoredPlan,
            INTERVENTION_PLANS,
            table.created_at >= since,
            table.created_at < until,
            order=[table.created_at.desc(), table.id],
            limit=limit,
        )

    def list_contacts(
        self, plan_ids: Sequence[str], limit: int, after: Intervention | None = None
    ) -> list[Intervention]:
        """Whom plans contact, the most valuable first; those who are held out are no contact.

        Args:
            plan_ids: of the plans.
            limit: interventions at most.
            after: the last one of the part before.
        """
        table = INTERVENTIONS.c
        conditions: list[ColumnElement[bool]] = [
            table.plan_id.in_(plan_ids),
            table.held_out.is_(False),
        ]
        if after is not None:
            tied = and_(table.value == after.value, table.id > after.id)
            conditions.append(or_(table.value < after.value, tied))
        order = [table.value.desc(), table.id]
        return self._list(Intervention, INTERVENTIONS, *conditions, order=order, limit=limit)

    def find_contact(self, intervention_id: str) -> Intervention:
        """An intervention that is not held out.

        Raises:
            UnknownInterventionError: there is none of that id.
        """
        table = INTERVENTIONS.c
        conditions = [table.id == intervention_id, table.held_out.is_(False)]
        rows = self._list(Intervention, INTERVENTIONS, *conditions, order=[table.id])
        if not rows:
            raise _unknown(intervention_id)
        return rows[0]

    def count_contacts(self, plan_ids: Sequence[str]) -> tuple[int, int]:
        """How many contacts plans have, and of how many it is known whether they took place."""
        table = INTERVENTIONS.c
        return self._count(table.plan_id.in_(plan_ids))

    def count_open(self, since: int) -> int:
        """Contacts planned from then on of which it is not known whether they took place."""
        count, known = self._count(INTERVENTIONS.c.planned_at >= since)
        return count - known

    def outcomes_of(self, intervention_ids: Sequence[str]) -> list[InterventionOutcome]:
        """Outcomes of some interventions."""
        table = INTERVENTION_OUTCOMES.c
        return self._list(
            InterventionOutcome,
            INTERVENTION_OUTCOMES,
            table.intervention_id.in_(intervention_ids),
            order=[table.intervention_id, table.kind],
        )

    def list_since(self, planned_at: int) -> list[Intervention]:
        """Interventions that were planned from then on, in order of time."""
        table = INTERVENTIONS.c
        return self._list(
            Intervention, INTERVENTIONS, table.planned_at >= planned_at,
            order=[table.planned_at, table.id],
        )  # fmt: skip

    def list_of_customer(self, customer_id: str, limit: int = 20) -> list[Intervention]:
        """A customer's newest interventions."""
        return self._newest(
            Intervention, INTERVENTIONS, "planned_at", limit, customer_id=customer_id
        )

    def customers_of(self, intervention_ids: Sequence[str]) -> dict[str, str]:
        """By intervention that is stored, its customer."""
        customers: dict[str, str] = {}
        table = INTERVENTIONS.c
        with self._database.reading() as connection:
            for part in subjects_in_parts(intervention_ids):
                query = select(table.id, table.customer_id).where(table.id.in_(part))
                customers.update((str(key), str(name)) for key, name in connection.execute(query))
        return customers

    def list_outcomes(self) -> list[InterventionOutcome]:
        """Every outcome, in the order of the interventions' ids."""
        table = INTERVENTION_OUTCOMES.c
        order = [table.intervention_id, table.kind]
        return self._list(InterventionOutcome, INTERVENTION_OUTCOMES, order=order)

    def insert_outcomes(self, outcomes: Sequence[InterventionOutcome]) -> int:
        """Store outcomes, all or none; returns how many are new. A repeat changes nothing.

        Raises:
            UnknownInterventionError: an outcome names an intervention that is not stored.
            ContradictedOutcomeError: the opposite is stored, or is in the same batch.
        """
        # a fixed order: two callers that overlap cannot wait for each other
        ordered = sorted(outcomes, key=lambda outcome: (outcome.intervention_id, outcome.kind))
        with self._database.writing() as connection:
            new = []
            for outcome in ordered:
                customer_id = _require_known(connection, outcome.intervention_id)
                if self._insert(connection, INTERVENTION_OUTCOMES, [outcome]):
                    new.append((outcome, customer_id))
                    continue
                table = INTERVENTION_OUTCOMES.c
                same = select(table.value).where(
                    table.intervention_id == outcome.intervention_id, table.kind == outcome.kind
                )
                if connection.execute(same).scalar_one() != outcome.value:
                    raise ContradictedOutcomeError(
                        f"of intervention {outcome.intervention_id!r} the opposite was told "
                        f"before: {outcome.kind} was {not outcome.value}"
                    )
            add_steps(
                connection,
                [_reported(*each) for each in new if each[0].key_id is not None],
            )
        return len(new)

    def withdraw_delivery(
        self, intervention_id: str, author: str, key_id: str, at: int
    ) -> InterventionOutcome:
        """Take back that an intervention took place, or that it did not; the audit keeps both.

        Raises:
            UnknownInterventionError: there is no such intervention, or nothing was reported of it.
        """
        table = INTERVENTION_OUTCOMES.c
        which = and_(table.intervention_id == intervention_id, table.kind == "delivered")
        with self._database.writing() as connection:
            customer_id = _require_known(connection, intervention_id)
            outcome = find_locked_row(connection, InterventionOutcome, INTERVENTION_OUTCOMES, which)
            if outcome is None:
                raise UnknownInterventionError(
                    f"of intervention {intervention_id!r} it was not reported whether it took place"
                )
            connection.execute(delete(INTERVENTION_OUTCOMES).where(which))
            step = CustomerStep(
                at=at,
                author=author,
                key_id=key_id,
                action="outcome withdrawn",
                subject_id=intervention_id,
                customer_id=customer_id,
                detail={"delivered": outcome.value, "note": outcome.note},
            )
            add_steps(connection, [step])
        return outcome

    def _count(self, *conditions: ColumnElement[bool]) -> tuple[int, int]:
        """Contacts of which conditions hold, and of how many it is known that they took place."""
        table, outcome = INTERVENTIONS.c, INTERVENTION_OUTCOMES.c
        of_contact = and_(outcome.intervention_id == table.id, outcome.kind == "delivered")
        query = (
            select(func.count(), func.count(outcome.intervention_id))
            .select_from(INTERVENTIONS)
            .join(INTERVENTION_OUTCOMES, of_contact, isouter=True)
            .where(table.held_out.is_(False), *conditions)
        )
        with self._database.reading() as connection:
            count, known = connection.execute(query).one()
        return int(count), int(known)


def _require_newest(
    connection: Connection, plan_id: str, past_plan_ids: set[str], since: int
) -> None:
    query = select(INTERVENTIONS.c.plan_id).where(INTERVENTIONS.c.planned_at >= since).distinct()
    others = set(connection.execute(query).scalars()) - past_plan_ids - {plan_id}
    if others:
        raise StalePlanError(f"plan {plan_id!r}: another was stored since its past was read")


def _require_known(connection: Connection, intervention_id: str) -> str:
    """The customer of an intervention."""
    query = select(INTERVENTIONS.c.customer_id).where(INTERVENTIONS.c.id == intervention_id)
    customer_id = connection.execute(query).scalar_one_or_none()
    if customer_id is None:
        raise _unknown(intervention_id)
    return str(customer_id)


def _unknown(intervention_id: str) -> UnknownInterventionError:
    return UnknownInterventionError(f"there is no intervention {intervention_id!r}")


def _reported(outcome: InterventionOutcome, customer_id: str) -> CustomerStep:
    """That a person reported an outcome."""
    return CustomerStep(
        at=outcome.received_at,
        author=outcome.author or "-",
        key_id=outcome.key_id or "-",
        action="outcome reported",
        subject_id=outcome.intervention_id,
        customer_id=customer_id,
        detail={outcome.kind: outcome.value, "note": outcome.note},
    )
