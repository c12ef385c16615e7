"""Maintenance: failures and services of the records and of files; both models on later rows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.framework import label_tables
from jobs.framework.label_tables import LabelCount
from jobs.framework.options import shared_options, time_text
from jobs.framework.retrained_system import Champion, NewLabels, TrainedModel
from jobs.maintenance.features import FeaturesConfig, write_features
from jobs.maintenance.retrain import RetrainConfig
from jobs.maintenance.training import train_model
from jobs.maintenance.training_config import TrainConfig
from jobs.maintenance.training_set import RowsSource, find_rows
from lib.maintenance.contracts import FAILURES, MAINTENANCE
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.machine_kind import kind_text
from lib.maintenance.model.model import SYSTEM, SurvivalModel, load_model
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.outcomes import FAILURE, MachineOutcomes
from lib.maintenance.repository import WorkOrderRepository
from lib.maintenance.work_order_tables import failure_table, service_table
from lib.retraining import recent_slice
from lib.retraining.comparison import Comparison, Rows, require_span, slice_start
from lib.retraining.recent_slice import RecentSlice, ScoredModel
from lib.storage import open_storage
from lib.survival.measures import concordance

UNSPECIFIED = "unspecified"
"""Mode of a failure that was reported without one."""
_ROWS, _CHAMPION_ROWS = "rows", "champion_rows"
_SAME_US = 24 * HOUR_US
_MOST_PAIRED = 4_000


class MachineRetraining:
    """See `RetrainedSystem`.

    Readings are not in the records, so features come from --telemetry, as in training. What the
    records add are failures that the service was told of, and services and failures of closed work
    orders; of reports of a machine within a day the file's counts.
    """

    name = SYSTEM
    measure = "C-td"

    def read_labels(self, config: RetrainConfig, marks: Mapping[str, int], as_of: int) -> NewLabels:
        """See `RetrainedSystem`; marks are `failed` of files, `closed` and `received`."""
        records = str(config.records)
        with WorkOrderRepository(records) as book:
            orders = book.list_closed(0, as_of)
        done = MAINTENANCE.check(service_table(orders)).good
        services = [label_tables.given_rows(config, MAINTENANCE), done]
        failures = [
            label_tables.given_rows(config, FAILURES),
            FAILURES.check(failure_table(orders)).good,
        ]
        reported = pa.concat_tables(failures)
        events = label_tables.recorded_events(records, SYSTEM, (FAILURE,), as_of)
        more = label_tables.without_repeats(events, reported, "machine_id", _SAME_US)
        count = LabelCount(marks, as_of)
        count.add("failed", label_tables.times_of(failures[0], "event_time"))
        count.add("closed", [int(order.closed_at or 0) for order in orders])
        count.add("received", label_tables.times_of(more, "received_at"))
        tables = label_tables.write_tables(
            config,
            {MAINTENANCE: services, FAILURES: [*failures, _unspecified(more)]},
        )
        total = reported.num_rows + more.num_rows
        return label_tables.new_labels(count, total, tables)

    def train(self, config: RetrainConfig, labels: NewLabels, champion: Champion) -> TrainedModel:
        """See `RetrainedSystem`; learns as if it were the begin of the slice."""
        config = replace(config, **label_tables.as_options(labels))
        source = _computed(config, _ROWS)
        start = _start(config, source, champion)
        output = open_storage(config.output).address(_ROWS)
        more = {"features": output, "telemetry": None, "learn_until": time_text(start)}
        settings = shared_options(TrainConfig, config, **more, registry=None, alias="none")
        train_model(settings)
        return TrainedModel((config, start))

    def compare(self, trained: TrainedModel, challenger: Path, champion: Champion) -> Comparison:
        """See `RetrainedSystem`; on rows from the begin of the slice on."""
        config, start = trained.context
        source = _computed(config, _ROWS)
        end = source.rows.seen_until
        rows = source.rows.take(source.rows.at_us >= start)
        model = load_model(challenger)
        own = _scored(model, rows)
        other = _scored(*_champion_rows(config, source, start, champion))
        hours = config.model.alarm_hours
        last = end - round(hours * HOUR_US)
        require_span(start, last, champion.seen_until)
        outcomes = MachineOutcomes(config.costs, hours)
        recent = RecentSlice(_decisions(rows), _failures(rows), end, start, last)
        repeats = config.settled().bootstrap
        return recent_slice.compare_on(
            recent, outcomes, own, other, self.measure, config.seed, repeats
        )


def _unspecified(events: pa.Table) -> pa.Table:
    """Failures without a mode in the form of their contract."""
    modes = pa.array([UNSPECIFIED] * events.num_rows, pa.string())
    columns = [events["subject_id"], events["observed_at"], modes]
    return pa.table(columns, names=["machine_id", "event_time", "failure_mode"])


def _computed(config: RetrainConfig, name: str, **more: Any) -> RowsSource:
    """Rows of all times in a folder of OUTPUT, computed unless they are there."""
    preventive = config.model.preventive
    folder = open_storage(config.output).address(name)
    options = shared_options(FeaturesConfig, config, output=folder, preventive=preventive)
    write_features(replace(options, **more))
    return find_rows(folder, preventive)


def _start(config: RetrainConfig, source: RowsSource, champion: Champion) -> int:
    """From when on rows are kept from the challenger, a whole second."""
    rows = source.rows
    first, last = int(rows.at_us.min()), rows.seen_until
    share = config.test_share
    start = slice_start(first, last, share, champion.seen_until)
    require_span(start, last - round(config.model.alarm_hours * HOUR_US), champion.seen_until)
    return -(-start // 1_000_000) * 1_000_000


def _champion_rows(
    config: RetrainConfig, source: RowsSource, start: int, champion: Champion
) -> tuple[SurvivalModel, TrainingRows]:
    """The champion with the rows of the slice by its own kind of machine.

    Attributes that the mapping has and the champion does not read are left out.

    Raises:
        FeatureError: telemetry lacks a sensor that the champion needs.
        ContractError: by its kind, machines have other rows.
    """
    model = load_model(champion.directory)
    if model.features.digest != source.features.digest:
        with tempfile.TemporaryDirectory() as folder:
            kind = Path(folder) / "kind.yaml"
            kind.write_text(kind_text(model.features), encoding="utf-8")
            source = _computed(config, _CHAMPION_ROWS, kind=str(kind))
    rows = source.rows.take(source.rows.at_us >= start)
    columns = [source.features.names.index(name) for name in model.features.names]
    return model, replace(rows, rows=rows.rows[:, columns])


def _scored(model: SurvivalModel, rows: TrainingRows) -> ScoredModel:
    """A model's answers about rows; C-td of at most 4,000 of them, as all pairs are compared."""
    curves = model.curves(rows.rows)
    outcomes = rows.outcomes.capped(model.horizon)
    chosen = np.zeros(len(rows), dtype=np.bool_)
    generator = np.random.default_rng(0)
    chosen[generator.permutation(len(rows))[:_MOST_PAIRED]] = True

    def measure(draw: Rows) -> float:
        some = draw[chosen[draw]]
        return concordance(outcomes.take(some), curves.take(some))

    thresholds = {"alarm_hours": model.alarm_hours, "alarm_threshold": model.alarm_threshold}
    return ScoredModel(model.version, model.risk(rows.rows), thresholds, measure)


def _decisions(rows: TrainingRows) -> pa.Table:
    """Rows as decisions that do nothing."""
    machines = rows.machines.tolist()
    names = [f"{name} {at}" for name, at in zip(machines, rows.at_us.tolist(), strict=True)]
    return recent_slice.slice_decisions(names, machines, rows.at_us, "MONITOR")


def _failures(rows: TrainingRows) -> pa.Table:
    """The failures that follow the rows, each once."""
    failed = np.flatnonzero(rows.outcomes.failed)
    times = rows.at_us[failed] + np.round(rows.watched.time[failed] * HOUR_US).astype(np.int64)
    seconds = (times + 500_000) // 1_000_000 * 1_000_000
    pairs = sorted(set(zip(rows.machines[failed].tolist(), seconds.tolist(), strict=True)))
    machines = [machine for machine, _ in pairs]
    observed = np.array([at for _, at in pairs], dtype=np.int64)
    return recent_slice.slice_labels(machines, FAILURE, [True] * len(pairs), observed)
