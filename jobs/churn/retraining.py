"""Churn: notices of the records and of files, and both models on later snapshot times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.churn.features import FeaturesConfig, write_features
from jobs.churn.retrain import RetrainConfig
from jobs.churn.training import train_model
from jobs.churn.training_config import TrainConfig
from jobs.churn.training_set import RowsSource, find_rows
from jobs.framework import label_tables
from jobs.framework.label_tables import LabelCount
from jobs.framework.options import shared_options, time_text
from jobs.framework.retrained_system import Champion, NewLabels, TrainedModel
from lib.churn.contracts import CHURN, INVOICES, USAGE
from lib.churn.features import base_tables
from lib.churn.model import SYSTEM
from lib.churn.model.model import ChurnModel, base_in, load_model
from lib.churn.outcomes import LEFT, NOTICE, CustomerOutcomes
from lib.churn.snapshots import Snapshots
from lib.churn.target import NEVER
from lib.churn.vocabulary import ChurnError, CustomerVocabulary
from lib.contract import Contract
from lib.evaluation import roc_auc
from lib.feature import DAY
from lib.retraining import recent_slice
from lib.retraining.comparison import Comparison, slice_start
from lib.retraining.recent_slice import RecentSlice, ScoredModel
from lib.storage import open_storage

_ROWS, _CHAMPION_ROWS = "rows", "champion_rows"
_SAME_US = DAY
_SHOWN_BY = {"notice": CHURN, "no_invoice": INVOICES, "no_usage": USAGE}
"""By what leaving means, the table whose newest rows say what became known."""


class CustomerRetraining:
    """See `RetrainedSystem`.

    Events of customers are not in the records, so features come from --customers and the other
    tables, as in training. What the records add are notices that the service was told of and those
    of customers with an intervention; of two reports of a customer within a day the file's counts.
    """

    name = SYSTEM
    measure = "AUC"

    def read_labels(self, config: RetrainConfig, marks: Mapping[str, int], as_of: int) -> NewLabels:
        """See `RetrainedSystem`; marks are `noticed` of files and `received` of the records."""
        filed = label_tables.given_rows(config, _SHOWN_BY[config.target.means])
        more = label_tables.recorded_events(str(config.records), SYSTEM, (NOTICE, LEFT), as_of)
        tables: Mapping[str, str] = {}
        if config.target.means == "notice":
            more = label_tables.without_repeats(more, filed, "customer_id", _SAME_US)
            tables = label_tables.write_tables(config, {CHURN: [filed, _as_notices(more)]})
        else:
            more = more.slice(0, 0)
        count = LabelCount(marks, as_of)
        count.add("noticed", label_tables.times_of(filed, "event_time"))
        count.add("received", label_tables.times_of(more, "received_at"))
        return label_tables.new_labels(count, filed.num_rows + more.num_rows, tables)

    def train(self, config: RetrainConfig, labels: NewLabels, champion: Champion) -> TrainedModel:
        """See `RetrainedSystem`; learns as if it were the begin of the slice."""
        config = replace(config, **label_tables.as_options(labels))
        source = _computed(config, _ROWS, None, champion)
        start = _start(config, source, champion)
        more: dict[str, Any] = {"features": source_folder(config, _ROWS), "customers": None}
        more["feature_file"] = None
        more["learn_until"] = time_text(start)
        settings = shared_options(TrainConfig, config, **more, registry=None, alias="none")
        train_model(settings)
        return TrainedModel((config, start))

    def compare(self, trained: TrainedModel, challenger: Path, champion: Champion) -> Comparison:
        """See `RetrainedSystem`; on snapshot times from the begin of the slice on."""
        config, start = trained.context
        source = _computed(config, _ROWS, None, champion)
        rows = _after(source.rows, start)
        own = _scored(load_model(challenger), rows)
        other = _scored(*_champion_rows(config, source, start, champion))
        end = int(rows.at_us.max(initial=start)) + config.every_days * DAY
        as_of = end + source.target.reach_us
        mrr = {"mrr": rows.column("mrr")}
        names = [
            f"{name} {at}" for name, at in zip(rows.customers, rows.at_us.tolist(), strict=True)
        ]
        decisions = recent_slice.slice_decisions(
            names, rows.customers.tolist(), rows.at_us, "MONITOR", features=mrr
        )
        recent = RecentSlice(decisions, _notices(rows, source.target.reach_us), as_of, start, end)
        outcomes = CustomerOutcomes(target=source.target)
        repeats = config.settled().bootstrap
        return recent_slice.compare_on(
            recent, outcomes, own, other, self.measure, config.seed, repeats
        )


def _as_notices(events: pa.Table) -> pa.Table:
    """Notices of the records in the form of their contract."""
    known = {"customer_id": events["subject_id"], "event_time": events["observed_at"]}
    return _filled(CHURN, known, events.num_rows)


def _filled(contract: Contract, known: Mapping[str, pa.ChunkedArray], count: int) -> pa.Table:
    """Rows of a contract of which only some columns are known."""
    columns = {
        field.name: known.get(field.name, pa.nulls(count, field.type)) for field in contract.schema
    }
    if "known_at" in columns:
        columns["known_at"] = known["event_time"]
    return pa.table(columns).cast(contract.schema)


def source_folder(config: RetrainConfig, name: str) -> str:
    """Address of a folder of rows in OUTPUT."""
    return open_storage(config.output).address(name)


def _computed(
    config: RetrainConfig, name: str, base: CustomerVocabulary | None, champion: Champion
) -> RowsSource:
    """Rows of all snapshot times, computed unless they are there; the champion's file is kept."""
    folder = source_folder(config, name)
    text = None if config.feature_file is not None else base_in(champion.directory).feature_file
    write_features(shared_options(FeaturesConfig, config, output=folder), base, text)
    return find_rows(folder)


def _start(config: RetrainConfig, source: RowsSource, champion: Champion) -> int:
    """From when on snapshot times are kept from the challenger: that of one of them."""
    moments = np.unique(source.rows.known().at_us)
    if not len(moments):
        raise ChurnError("no row has a known outcome: the data ends before the window does")
    start = slice_start(int(moments[0]), int(moments[-1]), config.test_share, champion.seen_until)
    return int(moments[np.searchsorted(moments, start)])


def _after(rows: Snapshots, start_us: int) -> Snapshots:
    """Rows of known outcome from a time on."""
    known = rows.known()
    return known.take(known.at_us >= start_us)


def _champion_rows(
    config: RetrainConfig, source: RowsSource, start: int, champion: Champion
) -> tuple[ChurnModel, Snapshots]:
    """The champion with the rows of the slice by its own vocabularies.

    Raises:
        ChurnError: a table is missing that it was trained with, or it foresees something else.
    """
    model = load_model(champion.directory)
    absent = sorted(base_tables(model.base) - {*config.table_names, "customers"})
    if absent:
        raise ChurnError(
            f"--{absent[0]} is missing, which the champion was trained with; without it every "
            "customer would look silent to it"
        )
    if model.target != source.target:
        raise ChurnError(
            f"--target: expected {model.target}, which the champion foresees, got {source.target}; "
            "train and promote a first model of the new target by jobs.churn.train"
        )
    if model.base != source.base:
        source = _computed(config, _CHAMPION_ROWS, model.base, champion)
    return model, _after(source.rows, start)


def _scored(model: ChurnModel, rows: Snapshots) -> ScoredModel:
    """A model's answers about rows."""
    scores = model.probabilities(rows.matrix)
    return ScoredModel(
        str(model.version),
        scores,
        {"churn": model.threshold},
        lambda draw: roc_auc(rows.labels[draw], scores[draw]),
    )


def _notices(rows: Snapshots, reach_us: int) -> pa.Table:
    """When customers leave, each once; of those that fall silent the end of the window."""
    times = np.where(rows.notice_us == NEVER, rows.at_us + reach_us, rows.notice_us)
    leaves = np.flatnonzero((rows.labels > 0) | (rows.notice_us != NEVER))
    pairs = sorted(set(zip(rows.customers[leaves].tolist(), times[leaves].tolist(), strict=True)))
    observed = np.array([at for _, at in pairs], dtype=np.int64)
    return recent_slice.slice_labels(
        [name for name, _ in pairs], NOTICE, [True] * len(pairs), observed
    )
