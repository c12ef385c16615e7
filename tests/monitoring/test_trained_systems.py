"""Each system from its own training to what its monitoring says of the weeks after it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.framework.decision_source import DecisionSourceError
from jobs.framework.monitoring import INCIDENT_OPEN
from lib.monitoring.repository import MonitoringRepository
from lib.records import Records
from lib.records.decision_table import LABEL_SCHEMA
from lib.records.systems import SYSTEMS
from tests.monitoring import trained_systems
from tests.monitoring.monitoring_run import MonitoringRun
from tests.monitoring.trained_systems import DAY, Deployment, iso

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(1_800),
    pytest.mark.usefixtures("ray_on_two_cores"),
]


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    folder: Path = tmp_path_factory.mktemp(request.param)
    deployed: Deployment = trained_systems.MAKERS[request.param](folder)
    return deployed


class Run(MonitoringRun):
    """A monitoring of decisions, and what it left."""

    def __init__(self, folder: Path, deployment: Deployment) -> None:
        super().__init__(folder)
        self.deployment = deployment
        self.url = f"sqlite:///{folder}/records.db"
        with Records(self.url) as records:
            records.migrate()

    def code(self, table: pa.Table, **changes: Any) -> int:
        """Monitor and return the exit code."""
        path = self.folder / "decisions.parquet"
        pq.write_table(table, path)
        return self.monitor(
            self.deployment.system,
            changes,
            self.deployment.as_of,
            decisions=str(path),
            records=self.url,
            registry=str(self.deployment.registry),
            since=iso(self.deployment.since),
            until=iso(self.deployment.until),
            engine="process",
            **self.deployment.options,
        )

    @property
    def named(self) -> dict[str, str]:
        return {own["measure"]: own["kind"] for own in self.report["incidents"]}

    def left_nothing(self) -> bool:
        with MonitoringRepository(self.url) as repository:
            windows = repository.windows(self.deployment.system, 0, 2**60)
        names = ("report", "metrics.prom")
        return not windows and not any((self.folder / name).exists() for name in names)


@pytest.fixture
def run(tmp_path: Path, deployment: Deployment) -> Run:
    return Run(tmp_path, deployment)


def late(table: pa.Table, deployment: Deployment) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,) decisions of the last half."""
    begin = deployment.until - (deployment.until - deployment.since) // 2 // DAY * DAY
    return np.asarray(table["event_time"].cast(pa.int64())) >= begin


def changed(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


def in_language(table: pa.Table, language: str, rows: Iterable[bool]) -> pa.Table:
    """Posts of which some have another language; JSON."""
    texts = [
        text.replace('"language": "en"', f'"language": {language}') if now else text
        for text, now in zip(table["request"].to_pylist(), rows, strict=True)
    ]
    return changed(table, "request", texts)


def planted(deployment: Deployment) -> tuple[pa.Table, str]:
    """A feature in another unit from some day on; of posts a language that was never there."""
    table = deployment.decisions
    is_late = late(table, deployment)
    if deployment.system == "moderation":
        return in_language(table, '"fr"', is_late.tolist()), "new category"
    name = f"feature_{deployment.feature}"
    values = table[name].to_numpy() * np.where(is_late, 100.0, 1.0)
    return changed(table, name, values), "unit changed"


def test_what_was_planted_is_named_and_nothing_without_it(run: Run, deployment: Deployment) -> None:
    assert run.code(deployment.decisions) == 0, run.named
    assert run.named == {}
    figures = (run.folder / "metrics.prom").read_text()
    assert "forewarn_monitor_performance" in figures
    tables = {"maintenance": ["failures_over_expected_24h", "c_td"], "moderation": ["precision"]}
    for name in tables.get(deployment.system, ["auc"]):
        assert f'measure="{name}' in figures
    table, kind = planted(deployment)
    assert run.code(table) == INCIDENT_OPEN
    assert deployment.feature in run.named
    assert run.named[deployment.feature] == kind


def test_a_model_that_the_registry_does_not_know_is_noted(run: Run, deployment: Deployment) -> None:
    table = deployment.decisions
    assert run.code(changed(table, "model_version", ["unknown"] * table.num_rows)) == 0
    assert "of model unknown: there is no reference of it" in " ".join(run.report["notes"])
    assert run.report["performance"]["periods"]


def test_a_measure_that_is_lacking_stops_no_other(run: Run, deployment: Deployment) -> None:
    table = deployment.decisions
    if deployment.system == "moderation":
        table, kind = in_language(table, "null", [True] * table.num_rows), "missing share"
    else:
        table, kind = table.drop_columns([f"feature_{deployment.feature}"]), "not computed"
    assert run.code(table) == INCIDENT_OPEN
    assert run.named == {deployment.feature: kind}
    assert run.report["performance"]["periods"]


def test_without_labels_the_page_says_so(run: Run, deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(LABEL_SCHEMA.empty_table(), path)
    none = dict.fromkeys(("failures", "notices"))
    known = {name: value for name, value in none.items() if name in deployment.options}
    run.code(deployment.decisions, labels=str(path), **known)
    assert any("there are no labels" in note for note in run.report["notes"])


def test_a_window_that_cannot_be_judged_leaves_nothing(run: Run, deployment: Deployment) -> None:
    since, until = iso(deployment.since - 90 * DAY), iso(deployment.since - 60 * DAY)
    with pytest.raises(DecisionSourceError, match=f"no decisions of {deployment.system} from"):
        run.code(deployment.decisions, since=since, until=until)
    assert run.left_nothing()
    times = np.asarray(deployment.decisions["event_time"].cast(pa.int64()))
    ahead = pa.array(times - 3 * DAY, pa.timestamp("us", "UTC"))
    mixed = changed(deployment.decisions, "received_at", ahead)
    with pytest.raises(DecisionSourceError, match="clocks disagree"):
        run.code(mixed)
    assert run.left_nothing()
