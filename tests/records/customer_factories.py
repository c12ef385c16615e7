"""Customers' health and what was planned for them, as the records keep it."""

from lib.churn.health_repository import HealthEntry
from lib.churn.intervention_repository import Intervention
from tests.records.conftest import NOVEMBER, SECOND


def health_entry(number: int, **changes: object) -> HealthEntry:
    fields: dict[str, object] = {
        "customer_id": "c1",
        "at": NOVEMBER + number * SECOND,
        "created_at": NOVEMBER,
        "chance": 0.25,
        "score": 61.5,
        "band": "amber",
        "components": {"adoption": 40.0, "support": None},
        "reasons": [{"words": "quiet"}],
        "model_version": "v1",
    }
    return HealthEntry(**(fields | changes))


def intervention(number: int, **changes: object) -> Intervention:
    fields: dict[str, object] = {
        "id": f"p-{number}",
        "plan_id": "p",
        "customer_id": f"c{number}",
        "playbook": "call",
        "planned_at": NOVEMBER,
        "held_out": number == 2,
        "propensity": 0.9,
        "chance": 0.3,
        "expected_fall": 0.1,
        "value": 100.0 * number,
        "cost": 60.0,
        "hours": 1.5,
    }
    return Intervention(**(fields | changes))
