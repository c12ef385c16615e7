"""Simulated payments whose fraudsters change, decided day by day by any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.fraud import monitor, retrain, train
from lib.contract import TIME
from lib.feature import compute
from lib.fraud.contracts import LABELS, TRANSACTIONS, join_labels
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.policy import DECISIONS, Costs
from lib.fraud.model.scoring import Scorer
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths
from lib.fraud.outcomes import AMOUNT, FraudOutcomes
from lib.fraud.simulation import SimulationConfig, simulate
from lib.registry import read_artifact
from tests.benchmarks.cycle.world import (
    DAY,
    Answers,
    Floats,
    Ints,
    Model,
    Pace,
    Subjects,
    decision_rows,
    label_rows,
)

LATER = ("account_takeover", "card_testing", "device_ring")
"""Kinds of fraud from the change on; all others end with it."""
_LABEL_DAYS = 4
_ABSURD = Costs(
    chargeback_fee_minor=10_000_000.0, blocked_share=0.0, blocked_fee_minor=0.0, review_minor=0.0,
    most_disturbed=1.0, reviews_per_day=1_000_000.0,
)  # fmt: skip

_SETTINGS: dict[str, Any] = {
    "engine": "process",
    "trees": TreeSettings(trees=80),
    "network": NetworkSettings(hidden=(32,), epochs=3),
    "slices": Lengths(label_delay=_LABEL_DAYS, test=5.0, calibrate=3.0, train=45.0, folds=2),
    "recency_half_life_days": 14.0,
    "baselines": False,
    "bootstrap": 100,
    "simulated": True,
    "progress": "none",
}


@dataclass
class PaymentWorld:
    """See `World`. Features are those of the payments as they were simulated: what a model
    declines changes no later payment.

    Args:
        folder: of this world's files.
        seed: of the simulation.
        users: customers.
        weeks: of payments after the first model.
        change_week: in whose begin fraudsters change, from 1 on.
    """

    folder: Path
    seed: int
    users: int
    weeks: int
    change_week: int
    _scored: dict[Path, tuple[Floats, Ints]] = field(default_factory=dict)

    system = "fraud"
    train, retrain, monitor = train, retrain, monitor
    blocking, reviewing = ("DECLINE",), ("REVIEW",)
    guardrails: ClassVar[Mapping[str, float]] = {"blocked_increase": 0.1, "reviewed_increase": 0.1}
    pace = Pace(
        history=110, monitored=7, retrain_after=12, retrain_every=6,
        shadow=2, ab=28, ripening=_LABEL_DAYS,
    )  # fmt: skip
    settings: ClassVar[Mapping[str, Any]] = _SETTINGS
    absurd: ClassVar[Mapping[str, Any]] = {"costs": _ABSURD}
    monitoring: ClassVar[Mapping[str, Any]] = {"label_days": float(_LABEL_DAYS)}

    def __post_init__(self) -> None:
        self.days = self.pace.history + 7 * self.weeks
        self.change_day = self.pace.history + 7 * (self.change_week - 1)
        self.prices = self.folder / "prices.yaml"
        self.prices.write_text(f"label_days: {_LABEL_DAYS}\n", encoding="utf-8")
        config = SimulationConfig(users=self.users, days=self.days, fraud_share=0.06)
        simulated = simulate(config, self.seed)
        self.start = config.start_us
        stays = _stays(simulated.transactions, simulated.truth, self.time_of(self.change_day))
        self.payments = simulated.transactions.filter(stays)
        known = pc.is_in(simulated.labels["transaction_id"], self.payments["transaction_id"])
        self.labels = simulated.labels.filter(known)
        frauds = pc.is_in(self.payments["transaction_id"], simulated.truth["transaction_id"])
        self.is_fraud: NDArray[np.bool_] = frauds.to_numpy(zero_copy_only=False)
        self.features = compute(FRAUD, join_labels(self.payments, self.labels).table)
        self.times: Ints = self.payments["event_time"].cast(pa.int64()).to_numpy()
        self._decisions: dict[int, list[str]] = {}

    def time_of(self, day: int) -> int:
        """See `World`."""
        return self.start + day * DAY

    def write_known(self, day: int) -> dict[str, str]:
        """See `World`."""
        paths = [self.folder / f"{name}.parquet" for name in ("transactions", "labels")]
        payments = self.payments.slice(0, self._rows(day).start)
        pq.write_table(payments.select(TRANSACTIONS.schema.names), paths[0])
        pq.write_table(self._labels_until(day).select(LABELS.schema.names), paths[1])
        return {path.stem: str(path) for path in paths}

    def write_facts(self, day: int) -> Path:
        """See `World`."""
        path, labels = self.folder / "facts.parquet", self._labels_until(day)
        columns = (labels["transaction_id"], "fraud", labels["is_fraud"], labels["observed_at"])
        pq.write_table(label_rows(*columns), path)
        return path

    def subjects(self, day: int) -> Subjects:
        """See `World`."""
        rows = self._of_day(day)
        ids = rows["transaction_id"].to_pylist()
        return Subjects(ids, rows["user_id"].to_pylist(), self.times[self._rows(day)])

    def answers(self, day: int, model: Path) -> Answers:
        """See `World`."""
        scores, places = self._of_model(model)
        rows = self._rows(day)
        return Answers(scores[rows], [DECISIONS[place] for place in places[rows].tolist()])

    def decide(self, day: int, versions: Sequence[str], answers: Mapping[str, Answers]) -> pa.Table:
        """See `World`."""
        table = self._table(day, versions, answers)
        self._decisions[day] = table["decision"].to_pylist()
        return table

    def losses(self, model: Model, first: str) -> tuple[Floats, Floats]:
        """See `World`; with all frauds known."""
        losses = np.zeros((2, self.days))
        outcomes = FraudOutcomes(label_days=_LABEL_DAYS, silence_of_declined=0.0)
        for day, decided in self._decisions.items():
            alone = self.answers(day, model(first))
            table = self._table(day, [first] * len(decided), {first: alone})
            known = outcomes.outcomes(table, self._truth(day), self.time_of(self.days + 365))
            for row, decisions in enumerate((decided, alone.decisions)):
                losses[row, day] = -np.nansum(outcomes.money_of(known, decisions))
        return losses[0], losses[1]

    def _rows(self, day: int) -> slice:
        first, end = np.searchsorted(self.times, [self.time_of(day), self.time_of(day + 1)])
        return slice(int(first), int(end))

    def _of_day(self, day: int) -> pa.Table:
        rows = self._rows(day)
        return self.payments.slice(rows.start, rows.stop - rows.start)

    def _of_model(self, model: Path) -> tuple[Floats, Ints]:
        """(payments,) scores and places in `DECISIONS` of all payments."""
        if model not in self._scored:
            scorer = Scorer.load(read_artifact(model, FRAUD))
            scores = np.asarray(scorer.score(self._matrix), dtype=np.float64)
            self._scored[model] = scores, scorer.policy.decisions(scores)
        return self._scored[model]

    def _labels_until(self, day: int) -> pa.Table:
        now = pa.scalar(self.time_of(day), pa.int64()).cast(TIME)
        return self.labels.filter(pc.less(self.labels["observed_at"], now))

    @cached_property
    def _matrix(self) -> NDArray[np.float32]:
        return feature_matrix(self.features, FRAUD.names)

    def _table(self, day: int, versions: Sequence[str], answers: Mapping[str, Answers]) -> pa.Table:
        payments, rows = self._of_day(day), self._rows(day)
        fields = [payments[name].to_pylist() for name in _REQUEST]
        requests = [
            f'{{"{AMOUNT}":{amount},"merchant_id":"{merchant}","payment_method":"{method}"}}'
            for amount, merchant, method in zip(*fields, strict=True)
        ]
        part = self.features.slice(rows.start, rows.stop - rows.start)
        features = {name: part[name].cast("double") for name in FRAUD.names}
        return decision_rows(self.subjects(day), versions, answers, requests, features)

    def _truth(self, day: int) -> pa.Table:
        rows = self._rows(day)
        frauds = pa.array(np.flatnonzero(self.is_fraud[rows]))
        ids = self._of_day(day)["transaction_id"].take(frauds)
        times = pa.array(self.times[rows][frauds.to_numpy()] + 1).cast(TIME)
        return label_rows(ids, "fraud", pa.array(np.ones(len(frauds), dtype=np.bool_)), times)


_REQUEST = (AMOUNT, "merchant_id", "payment_method")


def _stays(payments: pa.Table, truth: pa.Table, change: int) -> pa.ChunkedArray:
    """Which payments are left: honest ones, and frauds of the kinds of their time."""
    later = truth.filter(pc.is_in(truth["scenario"], pa.array(LATER)))["transaction_id"]
    earlier = truth.filter(pc.invert(pc.is_in(truth["scenario"], pa.array(LATER))))
    is_early = pc.less(payments["event_time"], pa.scalar(change, pa.int64()).cast(TIME))
    is_of_later = pc.is_in(payments["transaction_id"], later)
    is_of_earlier = pc.is_in(payments["transaction_id"], earlier["transaction_id"])
    dropped = pc.or_(pc.and_(is_early, is_of_later), pc.and_(pc.invert(is_early), is_of_earlier))
    return pc.invert(dropped)
