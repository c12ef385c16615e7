"""Experiments and what both models said, as the tests start and store them."""

from lib.experiment.declaration import Experiment
from lib.experiment.models import ExperimentDecision
from tests.records.conftest import NOVEMBER, SECOND

CHAMPION, CHALLENGER = "20261101T000000Z-00000001", "20261102T000000Z-00000002"
DAY = 86_400 * SECOND


def experiment(**changes: object) -> Experiment:
    fields: dict[str, object] = {
        "name": "november",
        "system": "fraud",
        "champion": CHAMPION,
        "challenger": CHALLENGER,
        "mode": "ab",
        "share": 0.1,
        "until": NOVEMBER + 14 * DAY,
    }
    return Experiment.model_validate(fields | changes)


def experiment_decision(number: int, **changes: object) -> ExperimentDecision:
    fields: dict[str, object] = {
        "system": "fraud",
        "subject_id": f"t{number}",
        "experiment_id": "fraud/november",
        "entity_id": f"u{number % 7}",
        "arm": "champion",
        "event_time": NOVEMBER + number * SECOND,
        "decided_at": NOVEMBER + number * SECOND,
        "champion_version": CHAMPION,
        "champion_decision": "APPROVE",
        "champion_score": 0.125,
        "challenger_version": CHALLENGER,
        "challenger_decision": "REVIEW",
        "challenger_score": 0.5,
        "challenger_ms": 2.5,
    }
    return ExperimentDecision(**(fields | changes))
