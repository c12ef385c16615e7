"""Each system is monitored from end to end: what was planted is named, and nothing without it."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.framework import decision_source, monitoring
from lib.monitoring.repository import MonitoringRepository
from lib.monitoring.watched_system import WatchedSystem
from lib.records.decision_table import LABEL_SCHEMA
from lib.records.systems import SYSTEMS
from tests.monitoring import decided
from tests.monitoring.decided import DAY, START, Pool
from tests.monitoring.monitoring_run import MonitoringRun
from tests.records.conftest import empty_records

# Ray Data warns of its own settings
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(900)]
LAST_DAY = 20
PLANTED_DAY = 15


@pytest.fixture(params=sorted(SYSTEMS))
def pool(request: pytest.FixtureRequest) -> Pool:
    if request.param == "maintenance":
        return decided.maintenance(request.getfixturevalue("small_fleet"))
    drawn: Pool = getattr(decided, request.param)()
    return drawn


@pytest.fixture
def fraud_pool() -> Pool:
    return decided.fraud()


def labels_of(table: pa.Table) -> pa.Table:
    """A fraud for every high score, known a day later."""
    rows = table.filter(pa.array(table["score"].to_numpy() > 0.05))
    count = rows.num_rows
    late = pa.array(
        np.asarray(rows["event_time"].cast(pa.int64())) + DAY, pa.timestamp("us", "UTC")
    )
    return pa.table(
        {
            "subject_id": rows["subject_id"],
            "kind": ["fraud"] * count,
            "value": [number % 4 > 0 for number in range(count)],
            "observed_at": late,
            "received_at": late,
            "source": ["chargeback"] * count,
        }
    ).cast(LABEL_SCHEMA)


class Installation(MonitoringRun):
    """A registry with a model, a database, and what a run leaves."""

    def __init__(self, folder: Path, pool: Pool, *, with_reference: bool = True) -> None:
        super().__init__(folder)
        self.pool = pool
        self.registry = folder / "registry"
        self.version = decided.publish(pool, self.registry, folder, with_reference=with_reference)
        self.url = empty_records(folder)

    def days(self, first: int = 0, last: int = LAST_DAY) -> pa.Table:
        return decided.days(self.pool, first, last, self.version, seed=11)

    def run(self, table: pa.Table, **changes: Any) -> int:
        """Monitor an export; returns the exit code."""
        return self.monitor(
            self.pool.system,
            changes,
            decisions=decided.write(table, self.folder / "decisions.parquet"),
            records=self.url,
            registry=str(self.registry),
            since="2026-11-01",
            until="2026-11-21",
        )


@pytest.mark.usefixtures("ray_on_two_cores")
def test_what_was_planted_is_named_and_nothing_without_it(tmp_path: Path, pool: Pool) -> None:
    installation = Installation(tmp_path, pool)
    assert installation.run(installation.days()) == 0
    assert installation.report["incidents"] == []
    changed = decided.planted(installation.days(), pool, PLANTED_DAY)
    assert installation.run(changed) == monitoring.INCIDENT_OPEN
    (incident,) = installation.report["incidents"]
    assert (incident["measure"], incident["kind"]) == (pool.drifting, "unit changed")
    assert incident["since"] == START + PLANTED_DAY * DAY
    with MonitoringRepository(installation.url) as repository:
        (recorded,) = repository.open_incidents(pool.system)
        windows = repository.windows(pool.system, 0, START + LAST_DAY * DAY)
    assert recorded.measure == pool.drifting
    assert [window.since for window in windows] == [START + day * DAY for day in range(LAST_DAY)]
    figures = (tmp_path / "metrics.prom").read_text()
    assert f'forewarn_monitor_incidents_open{{system="{pool.system}"}} 1.0' in figures
    assert pool.drifting in (tmp_path / "report/report.html").read_text()


@pytest.mark.usefixtures("ray_on_two_cores")
def test_the_same_window_monitored_twice_changes_nothing(tmp_path: Path, fraud_pool: Pool) -> None:
    installation = Installation(tmp_path, fraud_pool)
    table = decided.planted(installation.days(), fraud_pool, PLANTED_DAY)
    labels = decided.write(labels_of(table), tmp_path / "labels.parquet")
    installation.run(table, labels=labels)

    def kept() -> tuple[Any, Any]:
        with MonitoringRepository(installation.url) as repository:
            return repository.windows("fraud", 0, 2**60), repository.incidents("fraud", 0, 2**60)

    before = kept()
    installation.run(table, labels=labels)
    assert kept() == before
    installation.run(table, labels=labels, engine="process")
    assert kept() == before
    incident = installation.report["incidents"][0]
    assert incident["consequence"]["ripe"] >= 0
    assert installation.report["performance"]["periods"][0]["realised"][0]["name"] == "auc"


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_later_run_goes_on_from_the_windows_of_the_earlier(
    tmp_path: Path, fraud_pool: Pool
) -> None:
    installation = Installation(tmp_path, fraud_pool)
    table = decided.planted(installation.days(), fraud_pool, PLANTED_DAY)
    assert installation.run(table, until="2026-11-16") == 0
    assert installation.run(table, since="2026-11-16") == monitoring.INCIDENT_OPEN
    assert installation.report["incidents"][0]["since"] == START + PLANTED_DAY * DAY
    assert installation.run(table, since="2026-11-14", until="2026-11-15") == 0
    with MonitoringRepository(installation.url) as repository:
        assert repository.count_open("fraud") == 1


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_change_is_traced_to_the_merchant_that_holds_it(tmp_path: Path, fraud_pool: Pool) -> None:
    installation = Installation(tmp_path, fraud_pool)
    table = installation.days()
    of_merchant = np.random.default_rng(2).random(table.num_rows) < 0.08
    requests = [
        json.dumps(json.loads(text) | ({"merchant_id": "m-broken"} if broken else {}))
        for text, broken in zip(table["request"].to_pylist(), of_merchant, strict=True)
    ]
    table = table.set_column(table.schema.get_field_index("request"), "request", pa.array(requests))
    late = np.asarray(table["event_time"].cast(pa.int64())) >= START + PLANTED_DAY * DAY
    name = "feature_amount"
    values = np.where(of_merchant & late, np.nan, table[name].to_numpy())
    table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    assert installation.run(table) == monitoring.INCIDENT_OPEN
    incident = next(own for own in installation.report["incidents"] if own["measure"] == name[8:])
    assert incident["kind"] == "missing share"
    (cause,) = incident["causes"]
    assert (cause["segment"], cause["value"]) == ("merchant_id", "m-broken")
    assert cause["rows_share"] == pytest.approx(0.08, abs=0.03)


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_model_without_a_reference_is_a_note(
    tmp_path: Path, fraud_pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    installation = Installation(tmp_path, fraud_pool, with_reference=False)
    assert installation.run(installation.days()) == 0
    assert (
        f"of model {installation.version}: there is no reference of it" in capsys.readouterr().out
    )
    assert len(installation.report["models"][0]["days"]) == LAST_DAY


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_feature_that_is_absent_is_named_and_stops_no_other(
    tmp_path: Path, fraud_pool: Pool
) -> None:
    installation = Installation(tmp_path, fraud_pool)
    table = installation.days()
    late = np.asarray(table["event_time"].cast(pa.int64())) >= START + PLANTED_DAY * DAY
    values = np.where(late, np.nan, table["feature_amount"].to_numpy())
    table = table.set_column(
        table.schema.get_field_index("feature_amount"), "feature_amount", pa.array(values)
    )
    assert installation.run(table.drop_columns(["feature_is_weekend"])) == monitoring.INCIDENT_OPEN
    kinds = {own["measure"]: own["kind"] for own in installation.report["incidents"]}
    assert kinds["is_weekend"] == "not computed"
    assert kinds["amount"] in {"missing share", "not computed"}


@pytest.mark.usefixtures("ray_on_two_cores")
@pytest.mark.parametrize("value", [True, False])
def test_labels_of_one_class_are_noted(tmp_path: Path, fraud_pool: Pool, value: bool) -> None:
    installation = Installation(tmp_path, fraud_pool)
    table = installation.days()
    labels = labels_of(table)
    index = labels.schema.get_field_index("value")
    every = pa.array([value] * labels.num_rows)
    labels = labels.set_column(index, labels.schema.field(index), every)
    if value:
        subjects = table["subject_id"].combine_chunks()
        rows = labels.slice(0, 1)
        labels = pa.concat_tables([rows] * len(subjects))
        labels = labels.set_column(0, labels.schema.field(0), subjects)
    path = decided.write(labels, tmp_path / "labels.parquet")
    assert installation.run(table, labels=path) == 0
    notes = " ".join(installation.report["performance"]["notes"])
    assert "auc: " in notes or "not measured" in notes


@pytest.mark.usefixtures("ray_on_two_cores")
def test_nothing_is_written_where_the_window_is_empty(tmp_path: Path, fraud_pool: Pool) -> None:
    installation = Installation(tmp_path, fraud_pool)
    with pytest.raises(ValueError, match="no decisions of fraud from 2025-01-01"):
        installation.run(installation.days(), since="2025-01-01", until="2025-02-01")
    assert not (tmp_path / "report").exists()
    assert not (tmp_path / "metrics.prom").exists()


@pytest.mark.usefixtures("ray_on_two_cores")
def test_a_reader_that_fails_leaves_nothing_half_written(
    tmp_path: Path, fraud_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation(tmp_path, fraud_pool)

    def refuse(*_: object) -> None:
        raise OSError("no labels today")

    monkeypatch.setattr(decision_source, "labels_of", refuse)
    with pytest.raises(OSError, match="no labels today"):
        installation.run(installation.days())
    with MonitoringRepository(installation.url) as repository:
        assert repository.windows("fraud", 0, 2**60) == []
    assert not (tmp_path / "report").exists()


def test_options_that_cannot_work_are_refused(tmp_path: Path, fraud_pool: Pool) -> None:
    job = importlib.import_module("jobs.fraud.monitor")
    good = job.Options(decisions="d", output="o", since="2026-11-01", until="2026-11-02")
    for change, message in (
        ({"registry": "r", "model": "m"}, "expected --registry or --model, got both"),
        ({"rows": 10}, "--rows: expected 1,000 or more, got 10"),
        ({"metrics": Path("figures.txt")}, "--metrics: expected a file that ends in .prom"),
        ({"false_incidents": 0.0}, "--false-incidents, --systems: expected above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(good, **change).check()


def test_no_segment_of_a_system_names_people() -> None:
    people = {"user_id", "customer_id", "author_id", "device_id"}
    for system in SYSTEMS:
        source = Path(importlib.import_module(f"jobs.{system}.monitor").__file__ or "").read_text()
        assert not any(f'"{name}"' in source for name in people)
    assert WatchedSystem.__dataclass_fields__["entity_is_segment"].default is False
