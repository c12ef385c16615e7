"""Interventions: who was chosen for what, at which chance, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Connection, select

from lib.records.database import Database
from lib.records.errors import RecordsError
from lib.records.migration import migrate
from lib.records.models import Json, require_note, require_text, require_time
from lib.records.schema import INTERVENTION_OUTCOMES, INTERVENTION_PLANS, INTERVENTIONS

OutcomeKind = Literal["delivered", "left"]
_PLANS_TURN = 0x506C616E  # "Plan": the lock of those who store plans


class StalePlanError(RecordsError):
    """Another plan was stored since this one's past was read; make it again."""


class UnknownInterventionError(RecordsError):
    """There is no such plan or intervention."""


class ContradictedOutcomeError(RecordsError):
    """The opposite was told of the intervention before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPlan:
    """A day's plan. Times are microseconds since 1970 UTC.

    Attributes:
        id: names it.
        planned_at: the day.
        created_at: when it was made.
        request: as it was asked for.
        summary: hours, cost, value and what else was answered.
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
        id: names it.
        plan_id: of the plan that chose it.
        customer_id, playbook: who and what.
        planned_at: microseconds since 1970 UTC.
        held_out: whether the customer was then left alone.
        propensity: chance of being treated, once chosen.
        chance: to leave untreated, as it was foreseen.
        expected_fall: of that chance.
        value: expected, cost taken off.
        cost, hours: of it.
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
        for name in ("id", "plan_id", "customer_id", "playbook"):
            require_text(name, getattr(self, name))
        require_time("planned_at", self.planned_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class InterventionOutcome:
    """One thing that became of an intervention. Times are microseconds since 1970 UTC.

    Attributes:
        intervention_id: of which.
        kind: `delivered`: it took place; `left`: the customer gave notice.
        value: whether.
        observed_at, received_at: when it was seen, and when it was told.
        note: in words.
    """

    intervention_id: str
    kind: OutcomeKind
    value: bool
    observed_at: int
    received_at: int
    note: str | None = None

    def __post_init__(self) -> None:
        require_text("intervention_id", self.intervention_id)
        if self.note is not None:
            require_note("note", self.note)
        for name in ("observed_at", "received_at"):
            require_time(name, getattr(self, name))


class Interventions:
    """Plans and interventions in SQLite or PostgreSQL; safe for threads and processes.

    Every method raises RecordsUnavailableError where the database cannot be reached.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`; the database that `Records` uses.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def migrate(self) -> None:
        """See `Records.migrate`."""
        migrate(self._database)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()

    def keep(
        self,
        plan: StoredPlan,
        chosen: Sequence[Intervention],
        past: Sequence[Intervention] | None = None,
        since: int = 0,
    ) -> bool:
        """Store a plan, whole or not; False where its id is known already.

        Args:
            plan: a day's plan.
            chosen: its interventions.
            past: what `since` answered before the plan was made, so that two plans that are made
                at once do not choose the same customers; None does not check it.
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
            fresh = self._database.insert_new(connection, INTERVENTION_PLANS, [asdict(plan)])
            if fresh:
                rows = [asdict(intervention) for intervention in chosen]
                self._database.insert_new(connection, INTERVENTIONS, rows)
        return bool(fresh)

    def plan(self, plan_id: str) -> tuple[StoredPlan, list[Intervention]]:
        """A plan and its interventions, the most valuable first.

        Raises:
            UnknownInterventionError: there is none of that id.
        """
        plan_query = select(INTERVENTION_PLANS).where(INTERVENTION_PLANS.c.id == plan_id)
        interventions_query = (
            select(INTERVENTIONS)
            .where(INTERVENTIONS.c.plan_id == plan_id)
            .order_by(INTERVENTIONS.c.value.desc(), INTERVENTIONS.c.id)
        )
        with self._database.reading() as connection:
            row = connection.execute(plan_query).mappings().first()
            if row is None:
                raise UnknownInterventionError(f"there is no plan {plan_id!r}")
            chosen = [
                Intervention(**mapping)
                for mapping in connection.execute(interventions_query).mappings()
            ]
        return StoredPlan(**row), chosen

    def since(self, planned_at: int) -> list[Intervention]:
        """Everything that was planned from then on, in order of time."""
        query = (
            select(INTERVENTIONS)
            .where(INTERVENTIONS.c.planned_at >= planned_at)
            .order_by(INTERVENTIONS.c.planned_at, INTERVENTIONS.c.id)
        )
        with self._database.reading() as connection:
            return [Intervention(**row) for row in connection.execute(query).mappings()]

    def of_customer(self, customer_id: str, most: int = 20) -> list[Intervention]:
        """A customer's newest interventions."""
        query = (
            select(INTERVENTIONS)
            .where(INTERVENTIONS.c.customer_id == customer_id)
            .order_by(INTERVENTIONS.c.planned_at.desc(), INTERVENTIONS.c.id)
            .limit(most)
        )
        with self._database.reading() as connection:
            return [Intervention(**row) for row in connection.execute(query).mappings()]

    def outcomes(self) -> list[InterventionOutcome]:
        """Everything that was told of interventions, in the order of their ids."""
        table = INTERVENTION_OUTCOMES
        query = select(table).order_by(table.c.intervention_id, table.c.kind)
        with self._database.reading() as connection:
            return [InterventionOutcome(**row) for row in connection.execute(query).mappings()]

    def tell(self, outcomes: Sequence[InterventionOutcome]) -> int:
        """Keep outcomes, all or none; returns how many are new. The same again changes nothing.

        Raises:
            UnknownInterventionError: one is about an intervention that is not known.
            ContradictedOutcomeError: the opposite was told before, or is told in the same breath.
        """
        # one order for everybody: two callers that overlap cannot wait for each other
        ordered = sorted(outcomes, key=lambda entry: (entry.intervention_id, entry.kind))
        with self._database.writing() as connection:
            fresh = 0
            for outcome in ordered:
                _require_known(connection, outcome.intervention_id)
                added = self._database.insert_new(
                    connection, INTERVENTION_OUTCOMES, [asdict(outcome)]
                )
                fresh += added
                if not added and _stored_value(connection, outcome) != outcome.value:
                    raise ContradictedOutcomeError(
                        f"of intervention {outcome.intervention_id!r} the opposite was told "
                        "before: "
                        f"{outcome.kind} was {not outcome.value}"
                    )
        return fresh


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


def _stored_value(connection: Connection, outcome: InterventionOutcome) -> bool:
    table = INTERVENTION_OUTCOMES
    query = select(table.c.value).where(
        table.c.intervention_id == outcome.intervention_id, table.c.kind == outcome.kind
    )
    return bool(connection.execute(query).scalar_one())
