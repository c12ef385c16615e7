"""Simulated payments whose fraudsters change, decided day by day by any model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lib.contract import TIME
from lib.feature import compute
from lib.fraud.contracts import LABELS, TRANSACTIONS, join_labels
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.policy import DECISIONS
from lib.fraud.model.scoring import Scorer
from lib.fraud.outcomes import AMOUNT, FraudOutcomes
from lib.fraud.simulation import SimulationConfig, simulate
from lib.records.decision_table import DECISION_SCHEMA, FEATURE_PREFIX, LABEL_SCHEMA
from lib.registry import Registry, read_artifact

DAY = 86_400_000_000
LATER = ("account_takeover", "card_testing")
"""Kinds of fraud from the change on; all others end with it."""
Ints = NDArray[np.int64]


@dataclass
class PaymentWorld:
    """Payments of some weeks with their features; models decide them.

    Features are those of the payments as they were simulated: what a model declines changes no
    later payment.

    Args:
        folder: of this world's files.
        seed: of the simulation.
        users: customers.
        days: of payments.
        change_day: on which fraudsters change.
    """

    folder: Path
    seed: int
    users: int
    days: int
    change_day: int
    _decided: dict[str, tuple[NDArray[np.float64], Ints]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = SimulationConfig(users=self.users, days=self.days, fraud_share=0.03)
        simulated = simulate(config, self.seed)
        self.start = config.start_us
        stays = _stays(simulated.transactions, simulated.truth, self.time_of(self.change_day))
        self.payments = simulated.transactions.filter(stays)
        known = pc.is_in(simulated.labels["transaction_id"], self.payments["transaction_id"])
        self.labels = simulated.labels.filter(known)
        frauds = pc.is_in(self.payments["transaction_id"], simulated.truth["transaction_id"])
        self.is_fraud = frauds.to_numpy(zero_copy_only=False)
        self.features = compute(FRAUD, join_labels(self.payments, self.labels).table)
        self.times: Ints = self.payments["event_time"].cast(pa.int64()).to_numpy()
        self.users_of = self.payments["user_id"]

    def time_of(self, day: int) -> int:
        """Microseconds since 1970 UTC at which a day begins."""
        return self.start + day * DAY

    def write_known(self, day: int) -> tuple[Path, Path]:
        """Files of the payments and labels, in the training contracts, known when a day begins."""
        paths = (self.folder / "transactions.parquet", self.folder / "labels.parquet")
        now = pa.scalar(self.time_of(day), pa.int64()).cast(TIME)
        payments = self.payments.filter(pc.less(self.payments["event_time"], now))
        pq.write_table(payments.select(TRANSACTIONS.schema.names), paths[0])
        pq.write_table(self._labels_until(day).select(LABELS.schema.names), paths[1])
        return paths

    def write_facts(self, day: int) -> Path:
        """File of the labels known when a day begins, as the records export them."""
        path, labels = self.folder / "facts.parquet", self._labels_until(day)
        count = labels.num_rows
        columns = {
            "subject_id": labels["transaction_id"],
            "kind": pa.repeat("fraud", count),
            "value": labels["is_fraud"],
            "observed_at": labels["observed_at"],
            "received_at": labels["observed_at"],
            "source": pa.repeat("chargeback", count),
        }
        pq.write_table(pa.table(columns).cast(LABEL_SCHEMA), path)
        return path

    def rows_of(self, day: int) -> Ints:
        """Numbers of the payments of a day."""
        first, last = np.searchsorted(self.times, [self.time_of(day), self.time_of(day + 1)])
        return np.arange(first, last)

    def decided_by(self, registry: Path, version: str) -> tuple[NDArray[np.float64], Ints]:
        """(payments,) scores and places in `DECISIONS` by a published version."""
        if version not in self._decided:
            directory = Registry(registry).fetch("fraud", version, self.folder / "models")
            scorer = Scorer.load(read_artifact(directory, FRAUD))
            scores = scorer.score(self._matrix)
            self._decided[version] = scores, scorer.policy.decisions(scores)
        return self._decided[version]

    def decision_rows(self, registry: Path, rows: Ints, versions: list[str]) -> pa.Table:
        """Decisions of some payments as rows of `DECISION_SCHEMA`, with features.

        Args:
            registry: of the versions.
            rows: numbers of payments.
            versions: (rows,) that decide.
        """
        scores, places = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
        names = np.array(versions)
        for version in set(versions):
            mask = names == version
            every = self.decided_by(registry, version)
            scores[mask], places[mask] = every[0][rows[mask]], every[1][rows[mask]]
        return self._table(rows, names.tolist(), scores, places)

    def money(self, versions: Ints, registry: Path, names: list[str], since: int) -> float:
        """Currency units that the decisions of a span of days brought or cost, all frauds known.

        Args:
            versions: (payments,) numbers in `names`, -1 where nobody decided.
            registry: of the versions.
            names: of versions.
            since: first day.
        """
        rows = np.flatnonzero((self.times >= self.time_of(since)) & (versions >= 0))
        table = self.decision_rows(registry, rows, [names[k] for k in versions[rows].tolist()])
        outcomes = FraudOutcomes(silence_of_declined=0.0)
        labels = self._truth(rows)
        end = self.time_of(self.days + 365)
        return float(np.nansum(outcomes.outcomes(table, labels, end)["money"].to_numpy()))

    def _labels_until(self, day: int) -> pa.Table:
        now = pa.scalar(self.time_of(day), pa.int64()).cast(TIME)
        return self.labels.filter(pc.less(self.labels["observed_at"], now))

    @cached_property
    def _matrix(self) -> NDArray[np.float32]:
        return feature_matrix(self.features, FRAUD.names)

    def _table(
        self, rows: Ints, versions: list[str], scores: NDArray[np.float64], places: Ints
    ) -> pa.Table:
        payments, count = self.payments.take(pa.array(rows)), len(rows)
        times = payments["event_time"]
        merchants = payments["merchant_id"].to_pylist()
        methods = payments["payment_method"].to_pylist()
        amounts = payments[AMOUNT].to_pylist()
        requests = [
            f'{{"{AMOUNT}":{amount},"merchant_id":"{merchant}","payment_method":"{method}"}}'
            for amount, merchant, method in zip(amounts, merchants, methods, strict=True)
        ]
        columns = {
            "subject_id": payments["transaction_id"],
            "entity_id": payments["user_id"],
            **dict.fromkeys(("event_time", "received_at", "decided_at"), times),
            "decision": pa.array([DECISIONS[place] for place in places.tolist()]),
            "score": pa.array(scores.astype(np.float64)),
            "method": pa.repeat("model", count),
            "rule_id": pa.nulls(count, pa.string()),
            **dict.fromkeys(("rule_hits", "shadow_hits"), pa.array([[]] * count)),
            "model_version": pa.array(versions, pa.string()),
            "rules_version": pa.nulls(count, pa.string()),
            "latency_ms": pa.repeat(5.0, count),
            "request": pa.array(requests),
            "answer": pa.repeat("{}", count),
        }
        table = pa.table(columns).cast(DECISION_SCHEMA)
        features = self.features.take(pa.array(rows))
        for name in FRAUD.names:
            table = table.append_column(f"{FEATURE_PREFIX}{name}", features[name].cast("double"))
        return table

    def _truth(self, rows: Ints) -> pa.Table:
        frauds = rows[self.is_fraud[rows]]
        times = pa.array(self.times[frauds] + 1).cast(TIME)
        columns = {
            "subject_id": self.payments["transaction_id"].take(pa.array(frauds)),
            "kind": pa.repeat("fraud", len(frauds)),
            "value": pa.array(np.ones(len(frauds), dtype=bool)),
            **dict.fromkeys(("observed_at", "received_at"), times),
            "source": pa.repeat("truth", len(frauds)),
        }
        return pa.table(columns).cast(LABEL_SCHEMA)


def _stays(payments: pa.Table, truth: pa.Table, change: int) -> pa.ChunkedArray:
    """Which payments are left: honest ones, and frauds of the kinds of their time."""
    later = truth.filter(pc.is_in(truth["scenario"], pa.array(LATER)))["transaction_id"]
    earlier = truth.filter(pc.invert(pc.is_in(truth["scenario"], pa.array(LATER))))
    is_early = pc.less(payments["event_time"], pa.scalar(change, pa.int64()).cast(TIME))
    is_of_later = pc.is_in(payments["transaction_id"], later)
    is_of_earlier = pc.is_in(payments["transaction_id"], earlier["transaction_id"])
    dropped = pc.or_(pc.and_(is_early, is_of_later), pc.and_(pc.invert(is_early), is_of_earlier))
    return pc.invert(dropped)
