"""Payments of users under an experiment, as decision and label tables with known money."""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.experiment.models import ExperimentDecision, StoredExperiment
from lib.experiment.recorded import recorded_table
from lib.records.decision_table import DECISION_SCHEMA, LABEL_SCHEMA
from tests.experiment.factories import CHALLENGER, CHAMPION, DAY, experiment
from tests.records.conftest import NOVEMBER

KEY = bytes(range(32))
TIME = pa.timestamp("us", tz="UTC")
LABEL_DAYS = 7


def started(**changes: object) -> StoredExperiment:
    declared = experiment(share=0.5, **changes)
    return StoredExperiment(
        id="fraud/november",
        declaration=declared,
        key=KEY,
        share=declared.share,
        started_at=NOVEMBER,
    )


@dataclass(frozen=True)
class Payments:
    """Tables of payments, 28 days before the experiment and 14 in it."""

    decisions: pa.Table
    labels: pa.Table
    recorded: pa.Table


def payments(
    stored: StoredExperiment,
    *,
    users: int = 400,
    caught: tuple[float, float] = (0.3, 0.3),
    days: tuple[int, int] = (-28, 14),
    seed: int = 1,
) -> Payments:
    """Payments of which 3% are fraud; an arm's model declines the `caught` share of frauds.

    Args:
        stored: draws the arms.
        users: each pays about twice a day.
        caught: by the champion, by the challenger.
        days: first and last, from the start on.
        seed: of the payments; arms are those of the key.
    """
    random = np.random.default_rng(seed)
    count = users * 2 * (days[1] - days[0])
    user = random.integers(0, users, count)
    at = np.sort(random.integers(days[0] * DAY, days[1] * DAY, count)) + NOVEMBER
    amount = np.round(random.lognormal(8.0, 0.3, users)[user] * random.lognormal(0.0, 0.5, count))
    fraud = random.random(count) < 0.03
    arm = np.array([stored.deciding_arm(f"u{number}") for number in range(users)])[user]
    arm = np.where(at >= NOVEMBER, arm, "champion")
    share = np.where(arm == "challenger", caught[1], caught[0])
    luck = random.random(count)
    subject = [f"t{number}" for number in range(count)]
    decision = np.where(fraud & (luck < share), "DECLINE", "APPROVE")
    other = np.where(fraud & (luck < caught[1]), "DECLINE", "APPROVE")
    rows = [
        ExperimentDecision(
            system="fraud",
            subject_id=subject[row],
            experiment_id=stored.id,
            entity_id=f"u{user[row]}",
            arm=str(arm[row]),  # type: ignore[arg-type]
            event_time=int(at[row]),
            decided_at=int(at[row]),
            champion_version=CHAMPION,
            challenger_version=CHALLENGER,
            challenger_decision=str(other[row]),
        )
        for row in np.flatnonzero(at >= NOVEMBER)
        if stored.is_scored(f"u{user[row]}")
    ]
    times = pa.array(at).cast(TIME)
    columns = {
        "subject_id": subject,
        "entity_id": [f"u{number}" for number in user],
        "event_time": times,
        "received_at": times,
        "decided_at": times,
        "decision": decision,
        "score": np.full(count, 0.1),
        "method": ["model"] * count,
        "request": [json.dumps({"amount_minor": float(a)}) for a in amount],
    }
    empty = {
        field.name: pa.nulls(count, field.type)
        for field in DECISION_SCHEMA
        if field.name not in columns
    }
    decisions = pa.table({**columns, **empty}).select(DECISION_SCHEMA.names)
    late = pa.array(at[fraud] + 2 * DAY).cast(TIME)
    labels = pa.table(
        {
            "subject_id": [subject[row] for row in np.flatnonzero(fraud)],
            "kind": ["fraud"] * int(fraud.sum()),
            "value": [True] * int(fraud.sum()),
            "observed_at": late,
            "received_at": late,
            "source": ["chargeback"] * int(fraud.sum()),
        },
        schema=LABEL_SCHEMA,
    )
    return Payments(decisions.cast(DECISION_SCHEMA), labels, recorded_table(rows))
