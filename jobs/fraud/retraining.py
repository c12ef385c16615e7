"""Fraud: labels of the records and of files, and both models on the payments of the test slice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from jobs.framework import label_tables
from jobs.framework.label_tables import LabelCount
from jobs.framework.retrained_system import Champion, NewLabels, TrainedModel
from jobs.fraud.retrain import RetrainConfig
from jobs.fraud.training import train_model
from jobs.fraud.training_config import TrainConfig
from jobs.fraud.training_set import Source, load_payments, open_source
from lib.contract import TIME
from lib.contract.end_of_data import end_of_data
from lib.evaluation import average_precision
from lib.fraud.contracts import LABELS
from lib.fraud.model.inputs import Flags
from lib.fraud.model.model import SYSTEM
from lib.fraud.model.payments import Payments
from lib.fraud.model.scoring import Scorer
from lib.fraud.model.time_split import Slice, plan_slices
from lib.fraud.outcomes import AMOUNT, FraudOutcomes
from lib.fraud.payment_features import PaymentFeatures
from lib.records import Records
from lib.registry import read_artifact, verify_artifact
from lib.retraining import recent_slice
from lib.retraining.comparison import Comparison, require_span
from lib.retraining.recent_slice import RecentSlice, ScoredModel
from lib.storage import open_storage

_KIND = "fraud"
_FEATURES = "features"
_LEAST_DELAY_DAYS = 1e-6


class FraudRetraining(label_tables.LabelledRetraining):
    """See `RetrainedSystem`.

    Decisions of the records hold the features that were served, but not those of the years before,
    and a label that comes late changes features of payments after it; so all are computed from
    --transactions, as in training. What the records add are facts of kind `fraud`.
    """

    name = SYSTEM
    measure = "average precision"
    options = TrainConfig

    def read_labels(self, config: RetrainConfig, marks: Mapping[str, int], as_of: int) -> NewLabels:
        """See `RetrainedSystem`; marks are `observed` of files and `received` of the records."""
        filed = label_tables.given_rows(config, LABELS)
        recorded = _recorded_labels(str(config.records), as_of)
        count = LabelCount(marks, as_of)
        count.add("observed", label_tables.times_of(filed, "observed_at"))
        count.add("received", label_tables.times_of(recorded, "received_at"))
        path = label_tables.write_labels(config, LABELS, (filed, recorded))
        total = filed.num_rows + recorded.num_rows
        return label_tables.new_labels(count, total, {LABELS.name: path})

    def comparable(self, settings: TrainConfig, champion: Champion) -> TrainConfig:
        """See `LabelledRetraining`; vocabularies stay those of the champion."""
        features = PaymentFeatures.of_artifact(verify_artifact(champion.directory))
        if not features.extension or settings.feature_file is not None:
            return settings
        return replace(settings, features_of=str(champion.directory))

    def _train(self, config: RetrainConfig, settings: TrainConfig) -> TrainedModel:
        train_model(settings)
        return TrainedModel(config)

    def compare(self, trained: TrainedModel, challenger: Path, champion: Champion) -> Comparison:
        """See `RetrainedSystem`; on the payments of the test slice."""
        config: RetrainConfig = trained.context
        source = open_source(open_storage(config.output).address(_FEATURES))
        payments, span = _recent(config, source, champion.seen_until)
        labels = payments.labels(span.as_of)
        own, other = (
            _scored(directory, source, payments, labels)
            for directory in (challenger, champion.directory)
        )
        outcomes = FraudOutcomes(
            config.costs, source.scale, max(config.slices.label_delay, _LEAST_DELAY_DAYS)
        )
        recent = _slice(payments, span)
        return recent_slice.compare_on(
            recent, outcomes, own, other, self.measure, config.seed, config.settled().bootstrap
        )


def _recorded_labels(url: str, as_of: int) -> pa.Table:
    """Facts of kind `fraud` that were received before a time, as labels with `received_at`."""
    with Records(url) as records:
        facts = [fact for fact in records.facts(SYSTEM, as_of) if fact.kind == _KIND]
    columns = {
        "transaction_id": pa.array([fact.subject_id for fact in facts], pa.string()),
        "is_fraud": pa.array([fact.value for fact in facts], pa.bool_()),
    }
    for name in ("observed_at", "received_at"):
        times = pa.array([getattr(fact, name) for fact in facts], pa.int64())
        columns[name] = times.cast(TIME)
    return pa.table(columns)


def _recent(config: RetrainConfig, source: Source, seen_until: int) -> tuple[Payments, Slice]:
    """Payments of the test slice of the training, of those that the champion did not see."""
    payments = load_payments(source)
    first, last = int(payments.event_time[0]), end_of_data(payments.event_time).last_us
    test = plan_slices(first, last, config.settled().slices, payments.known_until()).test
    start = max(test.start, seen_until)
    require_span(start, test.end, seen_until)
    span = Slice(start, test.end, test.as_of)
    return payments.within(span), span


def _scored(directory: Path, source: Source, payments: Payments, labels: Flags) -> ScoredModel:
    """A model's answers about payments; refused where it knows other features."""
    artifact = read_artifact(directory, source.features)
    scores = Scorer.load(artifact).score(payments.matrix)
    return ScoredModel(
        artifact.manifest.version,
        scores,
        artifact.manifest.thresholds,
        lambda rows: average_precision(labels[rows], scores[rows]),
    )


def _slice(payments: Payments, span: Slice) -> RecentSlice:
    """Payments as decisions that approve, and what became known of them."""
    names = [str(row) for row in range(len(payments))]
    requests = [json.dumps({AMOUNT: amount}) for amount in payments.amount_minor.tolist()]
    users = payments.user.astype(str).tolist()
    decisions = recent_slice.slice_decisions(names, users, payments.event_time, "APPROVE", requests)
    parts = [
        _labels(names, payments.fraud_from, value=True),
        _labels(names, payments.fraud_until, value=False),
    ]
    return RecentSlice(decisions, pa.concat_tables(parts), span.as_of, span.start, span.end)


def _labels(names: list[str], times: np.ndarray, *, value: bool) -> pa.Table:
    rows = np.flatnonzero(np.isfinite(times))
    subjects = [names[row] for row in rows.tolist()]
    return recent_slice.slice_labels(
        subjects, _KIND, [value] * len(rows), times[rows].astype(np.int64)
    )
