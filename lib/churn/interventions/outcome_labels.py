"""What outcomes of interventions mean: labels of customers, and the log that effects come of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import pyarrow as pa

from lib.churn.intervention_repository import (
    Intervention,
    InterventionOutcome,
    InterventionRepository,
)
from lib.churn.model import SYSTEM
from lib.churn.outcomes import LEFT, NOTICE
from lib.contract import TIME
from lib.records import Fact, Records


def record_outcomes(
    interventions: InterventionRepository, records: Records, outcomes: Sequence[InterventionOutcome]
) -> int:
    """Store outcomes, all or none, and that customers left as labels; returns how many are new.

    Raises:
        UnknownInterventionError: an outcome names an intervention that is not stored.
        ContradictedOutcomeError: the opposite is stored.
    """
    new = interventions.insert_outcomes(outcomes)
    records.record_labels(leaver_labels(interventions, outcomes))
    return new


def leaver_labels(
    interventions: InterventionRepository, outcomes: Iterable[InterventionOutcome]
) -> list[Fact]:
    """Of outcomes that say that customers left, the labels of the decisions about them."""
    left = [outcome for outcome in outcomes if outcome.kind == "left" and outcome.value]
    customers = interventions.customers_of([outcome.intervention_id for outcome in left])
    return [
        _label(
            LEFT,
            customers[outcome.intervention_id],
            outcome.observed_at,
            "intervention",
            outcome.received_at,
        )
        for outcome in left
    ]


def notice_labels(notices: Iterable[tuple[str, int]], now: int) -> list[Fact]:
    """Labels of customers who gave notice.

    Args:
        notices: customers and when they gave it, microseconds since 1970 UTC.
        now: when it reached us.
    """
    return [_label(NOTICE, customer_id, at, "event", now) for customer_id, at in notices]


def log_of_interventions(interventions: Sequence[Intervention]) -> pa.Table:
    """Interventions in the columns of `lib.churn.interventions.daily.log_of`."""
    rows = [asdict(intervention) for intervention in interventions]
    names = (
        *("customer_id", "playbook", "held_out", "propensity", "chance", "expected_fall"),
        *("value", "cost", "hours"),
    )
    types = [pa.string(), pa.string(), pa.bool_(), *[pa.float64()] * 6]
    columns: Mapping[str, pa.Array] = {
        name: pa.array([row[name] for row in rows], kind)
        for name, kind in zip(names, types, strict=True)
    }
    times = pa.array([row["planned_at"] for row in rows], pa.int64()).cast(TIME)
    return pa.table({**columns, "planned_at": times})


def _label(kind: str, customer_id: str, at: int, source: str, now: int) -> Fact:
    return Fact(
        system=SYSTEM,
        subject_id=customer_id,
        kind=kind,
        value=True,
        observed_at=at,
        source=source,
        received_at=now,
    )
