"""What the loop needs to know of a simulated system: its subjects, its jobs, what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lib.contract import TIME
from lib.records.decision_table import DECISION_SCHEMA, FEATURE_PREFIX, LABEL_SCHEMA

DAY = 86_400_000_000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


HARMED_AFTER = 7
"""Days from the promotion to the bad challenger."""


@dataclass(frozen=True)
class Pace:
    """Days that the loop takes for each step.

    Attributes:
        history: before the first model.
        monitored: length of the window that is monitored each day; older ones are remembered.
        retrain_after: from an incident to the first retraining, until labels of days since are
            ripe; earlier both models would be compared on the time before it.
        retrain_every: between two retrainings while an incident stays.
        shadow: that a challenger is in shadow.
        ab: after which a comparison ends undecided.
        ripening: after which outcomes of a day count.
        least_labels: new ones that a retraining needs.
    """

    history: int
    monitored: int
    retrain_after: int
    retrain_every: int
    ripening: int
    least_labels: int = 1
    shadow: int = 2
    ab: int = 28


@dataclass(frozen=True)
class Subjects:
    """What is decided on a day, in order of time: ids, entities, microseconds since 1970 UTC."""

    ids: list[str]
    entities: list[str]
    times: Ints

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Answers:
    """(subjects,) scores and decisions of a model."""

    scores: Floats
    decisions: list[str]


Model = Callable[[str], Path]
"""Folder of a published version."""


class World(Protocol):
    """A simulated system.

    Attributes:
        system: its name.
        folder: of its files.
        train, retrain, monitor: its jobs.
        settings: options of every training.
        absurd: options of a training whose model acts far too often.
        monitoring: options of monitoring.
        prices: file of what outcomes cost, None for the usual ones.
        blocking, reviewing: decisions that guardrails watch, as in the service.
        guardrails: options of experiments: a model that sees what the champion does not see acts
            more often than it, by far more than usual guardrails allow.
        pace: of the loop.
        days: that are simulated.
        change_day: on which the world changes.
    """

    system: str
    folder: Path
    train: ModuleType
    retrain: ModuleType
    monitor: ModuleType
    settings: Mapping[str, Any]
    absurd: Mapping[str, Any]
    monitoring: Mapping[str, Any]
    prices: Path | None
    blocking: tuple[str, ...]
    reviewing: tuple[str, ...]
    guardrails: Mapping[str, float]
    pace: Pace
    days: int
    change_day: int

    def time_of(self, day: int) -> int:
        """Microseconds since 1970 UTC at which a day begins."""

    def write_known(self, day: int) -> dict[str, str]:
        """Tables to learn from as they are known when a day begins, by option of the training."""

    def write_facts(self, day: int) -> Path:
        """File of the labels known when a day begins, as the records export them."""

    def subjects(self, day: int) -> Subjects:
        """What is decided on a day."""

    def answers(self, day: int, model: Path) -> Answers:
        """What a model says of the subjects of a day."""

    def decide(self, day: int, versions: Sequence[str], answers: Mapping[str, Answers]) -> pa.Table:
        """Decisions of a day as an export of the records has them; what follows from them happens.

        Args:
            day: that ends.
            versions: (subjects,) that decide.
            answers: of each of them.
        """

    def losses(self, model: Model, first: str) -> tuple[Floats, Floats]:
        """(days,) currency units lost with the loop, and had the first version decided all."""


def decision_rows(
    subjects: Subjects,
    versions: Sequence[str],
    answers: Mapping[str, Answers],
    requests: Sequence[str],
    features: Mapping[str, Any],
) -> pa.Table:
    """Rows of `DECISION_SCHEMA` with features."""
    count = len(subjects)
    times = pa.array(subjects.times).cast(TIME)
    deciding = [answers[version] for version in versions]
    columns = {
        "subject_id": pa.array(subjects.ids, pa.string()),
        "entity_id": pa.array(subjects.entities, pa.string()),
        **dict.fromkeys(("event_time", "received_at", "decided_at"), times),
        "decision": pa.array([own.decisions[row] for row, own in enumerate(deciding)], pa.string()),
        "score": pa.array([own.scores[row] for row, own in enumerate(deciding)], pa.float64()),
        "method": pa.repeat("model", count),
        "rule_id": pa.nulls(count, pa.string()),
        **dict.fromkeys(("rule_hits", "shadow_hits"), pa.array([[]] * count)),
        "model_version": pa.array(versions, pa.string()),
        "rules_version": pa.nulls(count, pa.string()),
        "latency_ms": pa.repeat(5.0, count),
        "request": pa.array(requests, pa.string()),
        "answer": pa.repeat("{}", count),
    }
    table = pa.table(columns).cast(DECISION_SCHEMA)
    for name, values in features.items():
        table = table.append_column(f"{FEATURE_PREFIX}{name}", values)
    return table


def label_rows(ids: pa.Array, kind: str, values: pa.Array, observed: pa.Array) -> pa.Table:
    """Rows of `LABEL_SCHEMA`, received when they were observed."""
    columns = {
        "subject_id": ids,
        "kind": pa.repeat(kind, len(ids)),
        "value": values,
        **dict.fromkeys(("observed_at", "received_at"), observed),
        "source": pa.repeat("simulated", len(ids)),
    }
    return pa.table(columns).cast(LABEL_SCHEMA)
