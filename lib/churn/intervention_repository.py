"""Interventions: which customer was chosen for which playbook, and the outcomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select

from lib.records.decision_store import subjects_in_parts
from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields, require_note
from lib.records.repository import Repository
from lib.records.schema import INTERVENTION_OUTCOMES, INTERVENTION_PLANS, INTERVENTIONS

OutcomeKind = Literal["delivered", "left"]
_PLANS_TURN = 0x506C616E  # "Plan": the lock of those who store plans


class StalePlanError(RecordsError):
    """Another plan was stored since this one's past was read; make it again."""


class UnknownInterventionError(RecordsError):
    """There is no such plan or intervention."""


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
    """

    intervention_id: str
    kind: OutcomeKind
    value: bool
    observed_at: int
    received_at: int
    note: str | None = None

    def __post_init__(self) -> None:
        require_fields(self, ("intervention_id",), ("observed_at", "received_at"))
        if self.note is not None:
            require_note("note", self.note)


class InterventionRepository(Repository):
    """Plans, interventions and their outcomes."""

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
            StalePlanError: another plan was stored meanwhile; nothing is stored.
        """
        with self._database.writing() as connection:
            if past is not None:
                self._database.take_turn(connection, _PLANS_TURN)
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
            new = 0
            for outcome in ordered:
                _require_known(connection, outcome.intervention_id)
                added = self._insert(connection, INTERVENTION_OUTCOMES, [outcome])
                new += added
                table = INTERVENTION_OUTCOMES.c
                same = select(table.value).where(
                    table.intervention_id == outcome.intervention_id, table.kind == outcome.kind
                )
                if not added and connection.execute(same).scalar_one() != outcome.value:
                    raise ContradictedOutcomeError(
                        f"of intervention {outcome.intervention_id!r} the opposite was told "
                        f"before: {outcome.kind} was {not outcome.value}"
                    )
        return new


def _require_newest(
    connection: Connection, plan_id: str, past_plan_ids: set[str], since: int
) -> None:
    query = select(INTERVENTIONS.c.plan_id).where(INTERVENTIONS.c.planned_at >= since).distinct()
    others = set(connection.execute(query).scalars()) - past_plan_ids - {plan_id}
    if others:
        raise StalePlanError(f"plan {plan_id!r}: another was stored since its past was read")


def _require_known(connection: Connection, intervention_id: str) -> None:
    query = select(INTERVENTIONS.c.id).where(INTERVENTIONS.c.id == intervention_id)
    if connection.execute(query).first() is None:
        raise UnknownInterventionError(f"there is no intervention {intervention_id!r}")
