"""The jobs from tables to a plan on a small Ray: what they write, and what they refuse."""

import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from pyarrow.csv import write_csv

from jobs.maintenance import features, schedule, score, train, tune
from jobs.maintenance.features import FeaturesConfig
from jobs.maintenance.schedule import ScheduleConfig
from jobs.maintenance.score import ScoreConfig
from jobs.maintenance.training_config import TrainConfig
from jobs.maintenance.tune import TuneConfig
from lib.contract import ContractError
from lib.maintenance.dataset import rows_and_failures
from lib.maintenance.feature_set import FeatureError
from lib.maintenance.machine_kind import KIND_FILE, parse_kind
from lib.maintenance.model.model import load_model
from lib.maintenance.model.rows import to_table
from lib.maintenance.repository import WorkOrderRepository
from lib.maintenance.schedule.problem import ScheduleError
from lib.registry import Registry
from lib.survival.outcomes import SurvivalError
from tests.conftest import on_two_cores
from tests.maintenance.small_fleet import CONFIG, SERVICE, SETTINGS, WEEKS, tables, week

pytestmark = on_two_cores(minutes=10)


KIND = str(KIND_FILE)
FAR = datetime(2061, 5, 1, tzinfo=UTC)


def sources(fleet: Path, output: Path, **changes: object) -> dict[str, object]:
    named = {
        name: str(fleet / f"{name}.parquet")
        for name in ("errors", "maintenance", "failures", "machines")
    }
    paths = {
        "telemetry": str(fleet / "telemetry"),
        "mapping_telemetry": str(fleet / "telemetry.yaml"),
        "output": str(output),
    }
    return {**paths, **named, **changes}


@pytest.fixture(scope="module")
def computed(small_fleet, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("rows")
    features.main(FeaturesConfig(**sources(small_fleet, output, partitions=3), kind=KIND))
    return output


@pytest.fixture(scope="module")
def model(computed, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    train.main(
        TrainConfig(
            features=str(computed),
            output=str(folder),
            registry=str(folder / "registry"),
            alias="champion",
            model=SETTINGS,
            simulated=True,
            bootstrap=5,
            test_proportionality=False,
        )
    )
    return folder


def far_reading(fleet: Path, folder: Path) -> None:
    """A file with one reading of a broken clock, beside the others."""
    table = pq.read_table(next((fleet / "telemetry").glob("*.parquet"))).slice(0, 1)
    position = table.column_names.index("event_time")
    far = pa.array([FAR]).cast(table.schema.field(position).type)
    pq.write_table(table.set_column(position, "event_time", far), folder / "far.parquet")


@pytest.fixture(scope="module")
def scored(small_fleet, model, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("scores")
    machines = pq.read_table(small_fleet / "machines.parquet")
    silent = machines.slice(0, 1).set_column(0, "machine_id", pa.array(["silent"]))
    pq.write_table(pa.concat_tables([machines, silent]), output / "machines.parquet")
    shutil.copytree(small_fleet / "telemetry", output / "telemetry")
    far_reading(small_fleet, output / "telemetry")
    arguments = sources(
        small_fleet,
        output / "out",
        machines=str(output / "machines.parquet"),
        telemetry=str(output / "telemetry"),
    )
    score.main(ScoreConfig(**arguments, registry=str(model / "registry")))
    return output / "out"


def read(folder: Path) -> pa.Table:
    return pq.read_table(folder / "data").sort_by(
        [("machine_id", "ascending")]
        if "event_time" not in pq.read_schema(next((folder / "data").glob("*.parquet"))).names
        else [("machine_id", "ascending"), ("event_time", "ascending")]
    )


def same(ours: pa.Table, expected: pa.Table) -> None:
    """Equal in every value; what is missing on one side is missing on the other."""
    assert ours.num_rows == expected.num_rows
    for name in expected.column_names:
        actual, other = (table[name].to_numpy(zero_copy_only=False) for table in (ours, expected))
        if actual.dtype == np.float64:
            np.testing.assert_array_equal(actual, other)
        else:
            assert actual.tolist() == other.tolist()


def test_rows_of_the_job_are_those_of_the_library_however_they_are_spread(computed, small_fleet):
    written = read(computed)
    expected, _ = rows_and_failures(CONFIG.features, tables(small_fleet), 24.0)
    expected_table = to_table(expected, CONFIG.features.names).sort_by(
        [("machine_id", "ascending"), ("event_time", "ascending")]
    )
    same(written, expected_table)
    note = json.loads((computed / "features.json").read_text())
    assert note["machines"] == CONFIG.machines
    assert note["sensor_faults"]["temperature"]["stuck"] > 0
    assert note["tables"]["telemetry"]["quarantined"] == 0


def test_the_same_command_finds_its_rows_there(computed, small_fleet, capsys):
    features.main(FeaturesConfig(**sources(small_fleet, computed, partitions=1), kind=KIND))
    assert "there already" in capsys.readouterr().out


def test_bad_rows_go_to_the_quarantine_and_the_rest_is_the_same(
    computed, small_fleet, tmp_path, capsys
):
    folder = tmp_path / "telemetry"
    folder.mkdir()
    for file in (small_fleet / "telemetry").glob("*.parquet"):
        table = pq.read_table(file)
        bad = table.slice(0, 3).set_column(0, "machine_id", pa.nulls(3, pa.string()))
        pq.write_table(pa.concat_tables([table, table.slice(0, 5), bad]), folder / file.name)
    far_reading(small_fleet, folder)
    arguments = sources(small_fleet, tmp_path / "out", telemetry=str(folder))
    features.main(FeaturesConfig(**arguments, kind=KIND))
    note = json.loads((tmp_path / "out" / "features.json").read_text())
    counts = note["tables"]["telemetry"]
    assert (counts["repeats"], counts["quarantined"]) == (5 * WEEKS, 3 * WEEKS)
    assert list(note["far_readings"].values()) == [1]
    assert f"up to {FAR.date()}: far from all others" in capsys.readouterr().out
    same(read(tmp_path / "out"), read(computed))


def test_long_telemetry_in_another_unit_gives_the_rows_of_the_wide_one(
    computed, small_fleet, tmp_path
):
    machines = ["M00001", "M00002", "M00003"]
    wide = tables(small_fleet).telemetry
    wide = wide.filter(pc.is_in(wide["machine_id"], value_set=pa.array(machines)))
    (tmp_path / "long").mkdir()
    lines = ["contract: telemetry", "pivot: {index: [asset, ts], tag: tag, value: v}", "columns:"]
    lines += ["  machine_id: asset", "  event_time: {from: ts, unit: us}"]
    for sensor in CONFIG.features.sensors:
        values = wide[sensor.name]
        unit = sensor.unit
        if sensor.name == "temperature":
            values, unit = pc.add(pc.multiply(values, 1.8), 32.0), "degF"
        rows = {
            "asset": wide["machine_id"],
            "ts": wide["event_time"].cast(pa.int64()),
            "tag": [f"tag {sensor.name}"] * len(wide),
            "v": values,
        }
        write_csv(pa.table(rows), tmp_path / f"long/{sensor.name}.csv")
        lines.append(f"  {sensor.name}: {{from: tag {sensor.name}, unit: '{unit}'}}")
    (tmp_path / "long.yaml").write_text("\n".join(lines))
    failures = pq.read_table(small_fleet / "failures.parquet")
    strange = failures.slice(0, 1).to_pylist()[0] | {"machine_id": "nobody"}
    late = strange | {"machine_id": "M00001", "event_time": strange["event_time"].replace(2061)}
    more = pa.Table.from_pylist([strange, late], schema=failures.schema)
    pq.write_table(pa.concat_tables([failures, more]), tmp_path / "failures.parquet")
    arguments = sources(
        small_fleet,
        tmp_path / "out",
        telemetry=str(tmp_path / "long"),
        partitions=2,
        mapping_telemetry=str(tmp_path / "long.yaml"),
        failures=str(tmp_path / "failures.parquet"),
    )
    features.main(FeaturesConfig(**arguments, kind=KIND))
    rows_of_long = read(tmp_path / "out").sort_by(
        [("machine_id", "ascending"), ("event_time", "ascending")]
    )
    rows_of_wide = read(computed).sort_by(
        [("machine_id", "ascending"), ("event_time", "ascending")]
    )
    rows_of_wide = rows_of_wide.filter(
        pc.is_in(rows_of_wide["machine_id"], value_set=pa.array(machines))
    )
    assert rows_of_long.column_names == rows_of_wide.column_names
    for name in rows_of_long.column_names:
        ours, expected = rows_of_long[name].to_pylist(), rows_of_wide[name].to_pylist()
        assert ours == expected or ours == pytest.approx(
            expected, rel=1e-6, abs=1e-6, nan_ok=True
        ), name
    note = json.loads((tmp_path / "out/features.json").read_text())
    counts, table = note["failure_counts"], note["tables"]["telemetry"]
    assert table["rows_in"] == len(wide) * len(CONFIG.features.sensors)
    assert table["merged"] == table["rows_in"] - len(wide)
    assert counts["after_last_reading"] == 1
    assert sum(counts.values()) - counts["at_end"] == failures.num_rows + 2


def test_training_publishes_a_model_and_a_report(model):
    version = Registry(model / "registry").resolve("maintenance", "champion")
    loaded = load_model(model / "model")
    assert loaded.version == version
    assert loaded.features.digest == CONFIG.features.digest
    assert len(loaded.replicates) == SETTINGS.replicates
    facts = json.loads((model / "report.json").read_text())
    assert facts["simulated"] is True
    assert set(facts["measures"]) >= {"Kaplan-Meier", "Cox", "deep", "blend", "gradient boosting"}
    assert facts["measures"]["blend"]["IBS"] < facts["measures"]["Kaplan-Meier"]["IBS"]
    page = (model / "report.html").read_text()
    for heading in ("Survival", "Calibration", "Money", "simulated", "run to failure"):
        assert heading in page


def test_training_in_one_process_finds_the_same_folds(computed, model, tmp_path):
    config = TrainConfig(
        features=str(computed),
        output=str(tmp_path),
        engine="process",
        model=SETTINGS,
        bootstrap=5,
        test_proportionality=False,
    )
    train.main(config)
    ours, expected = (
        json.loads((folder / "report.json").read_text())["measures"] for folder in (tmp_path, model)
    )
    assert ours["Cox"] == pytest.approx(expected["Cox"], rel=1e-6)
    assert ours["deep"]["IBS"] == pytest.approx(expected["deep"]["IBS"], rel=0.05)


def test_scores_name_every_machine_the_silent_one_too(scored, model, small_fleet):
    table = read(scored)
    rows = {row["machine_id"]: row for row in table.to_pylist()}
    assert len(rows) == CONFIG.machines + 1
    assert rows["silent"]["last_reading"] is None
    assert 0.0 < rows["silent"]["failure_within_7d"] < 1.0
    note = json.loads((scored / "scores.json").read_text())
    newest = max(tables(small_fleet).telemetry["event_time"].to_pylist())
    assert datetime.fromisoformat(note["scored_at"]) == newest
    assert list(note["far_readings"].values()) == [1]
    loaded = load_model(model / "model")
    assert note["grid_hours"] == loaded.grid.tolist()
    assert len(rows["M00000"]["survival"]) == len(loaded.grid)


def plan(scored: Path, fleet: Path, folder: Path, **changes: object) -> ScheduleConfig:
    folder.mkdir(exist_ok=True)
    newest = max(tables(fleet).telemetry["event_time"].cast("int64").to_pylist())
    request = week(newest, **{"work": {"bearing": SERVICE}, **changes})
    (folder / "week.yaml").write_text(yaml.safe_dump(request))
    return ScheduleConfig(
        scores=str(scored),
        week=str(folder / "week.yaml"),
        machines=str(scored.parent / "machines.parquet"),
        output=str(folder / "plan"),
        records=f"sqlite:///{folder}/records.sqlite",
    )


def test_a_week_is_planned_written_and_kept(scored, small_fleet, tmp_path, capsys):
    schedule.main(plan(scored, small_fleet, tmp_path, must_serve=["M00003"]))
    output = capsys.readouterr().out
    text = (tmp_path / "plan/plan.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert any(row["machine_id"] == "M00003 bearing" for row in rows)
    assert f"{len(rows)} services" in output
    stored = json.loads((tmp_path / "plan/plan.json").read_text())
    book = WorkOrderRepository(f"sqlite:///{tmp_path}/records.sqlite")
    kept, orders = book.find_schedule(stored["id"])
    assert len(orders) == len(rows)
    assert kept.request["must_serve"] == ["M00003"]
    assert "Gantt" in (page := (tmp_path / "plan/report.html").read_text()) or "<svg" in page
    assert (tmp_path / "plan/plan.ics").read_text().count("BEGIN:VEVENT") == len(rows)
    schedule.main(plan(scored, small_fleet, tmp_path, must_serve=["M00003"]))
    assert "kept before with the same request" in capsys.readouterr().out
    assert len(book.list_of_machine("M00003")) == sum(
        order.machine_id == "M00003" for order in orders
    )


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"start": "2025-07-08T00:00:00Z"}, ContractError, "expected a Monday"),
        ({"work": {"belt": 1}}, ContractError, "work.belt"),
        ({"risk_bund": 0.5}, ContractError, "risk_bund"),
        ({"must_serve": ["nobody"]}, ScheduleError, "unknown machine 'nobody'"),
    ],
)
def test_a_week_that_cannot_be_meant_is_refused(
    scored, small_fleet, tmp_path, change, error, words
):
    with pytest.raises(error, match=None) as caught:
        schedule.main(plan(scored, small_fleet, tmp_path, **change))
    assert words in str(caught.value)
    assert not (tmp_path / "plan/plan.csv").exists()


def test_a_search_ends_with_settings_that_training_reads(computed, tmp_path):
    config = TuneConfig(
        features=str(computed),
        output=str(tmp_path),
        trials=2,
        epochs=5,
        folds=2,
        most_rows=600,
        horizon_hours=720.0,
    )
    best = yaml.safe_load(Path(tune.main(config)).read_text())
    from jobs.framework.options import read_options  # noqa: PLC0415

    file = tmp_path / "best.yaml"
    arguments = ["--features", "f", "--output", "o", "--config", str(file)]
    settled = read_options(TrainConfig, arguments)
    assert settled.model.network.dropout == pytest.approx(best["model"]["network"]["dropout"])
    assert settled.model.network.hidden == tuple(best["model"]["network"]["hidden"])


def test_no_failures_in_the_training_data_says_where_to_look(small_fleet, tmp_path):
    nobody = pq.read_table(small_fleet / "failures.parquet").slice(0, 0)
    pq.write_table(nobody, tmp_path / "none.parquet")
    arguments = sources(small_fleet, tmp_path / "rows", failures=str(tmp_path / "none.parquet"))
    features.main(FeaturesConfig(**arguments))
    config = TrainConfig(
        features=str(tmp_path / "rows"), output=str(tmp_path / "t"), model=SETTINGS
    )
    with pytest.raises(SurvivalError, match=r"no failures among .* check the failures' table"):
        train.main(replace(config, engine="process"))


def test_constant_columns_are_left_out_and_training_goes_on(small_fleet, tmp_path):
    folder = tmp_path / "telemetry"
    folder.mkdir()
    for file in (small_fleet / "telemetry").glob("*.parquet"):
        table = pq.read_table(file)
        position = table.column_names.index("rpm")
        flat = pa.array(np.full(table.num_rows, 1500.0))
        pq.write_table(table.set_column(position, "rpm", flat), folder / file.name)
    arguments = sources(small_fleet, tmp_path / "rows", telemetry=str(folder))
    features.main(FeaturesConfig(**arguments))
    config = TrainConfig(
        features=str(tmp_path / "rows"),
        output=str(tmp_path / "t"),
        engine="process",
        model=SETTINGS,
        bootstrap=5,
    )
    train.main(config)
    loaded = load_model(tmp_path / "t/model")
    assert "rpm_mean_rpm_24h" not in loaded.main_half.cox.scaling.columns
    assert "rpm_mean_rpm_24h" in loaded.features.names


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"telemetry": "/none.parquet"}, ContractError, "none.parquet"),
        ({"kind": "/none.yaml"}, FeatureError, "none.yaml"),
        ({"every_hours": 0.0}, FeatureError, "--every-hours: expected above 0"),
    ],
)
def test_sources_that_are_not_there_are_named(small_fleet, tmp_path, changes, error, words):
    with pytest.raises(error, match=None) as caught:
        features.main(FeaturesConfig(**{**sources(small_fleet, tmp_path / "o"), **changes}))
    assert words in str(caught.value)


def test_tables_of_other_machines_are_refused(small_fleet, tmp_path):
    table = pq.read_table(small_fleet / "failures.parquet")
    other = table.set_column(0, "machine_id", pa.array([f"x{k}" for k in range(table.num_rows)]))
    pq.write_table(other, tmp_path / "f.parquet")
    arguments = sources(small_fleet, tmp_path / "o", failures=str(tmp_path / "f.parquet"))
    with pytest.raises(ContractError, match=r"failures: none of its .* check the mapping"):
        features.main(FeaturesConfig(**arguments))


def test_training_on_what_is_no_output_of_the_features_job_is_refused(tmp_path):
    with pytest.raises(ContractError, match=r"expected the output of jobs\.maintenance\.features"):
        train.main(
            TrainConfig(features=str(tmp_path), output=str(tmp_path / "o"), engine="process")
        )


def test_waveforms_become_features_and_bad_ones_are_set_aside(small_fleet, tmp_path):
    kind = tmp_path / "kind.yaml"
    kind.write_text(
        KIND_FILE.read_text() + "waveforms: {bearing: {balls: 9, ball_mm: 8, pitch_mm: 39}}\n"
    )
    random = np.random.default_rng(1)
    newest = max(tables(small_fleet).telemetry["event_time"].to_pylist())
    day = timedelta(days=1)
    rows = [
        {
            "machine_id": "M00001",
            "event_time": newest - 9 * day,
            "sampling_rate_hz": 12_000.0,
            "samples": (np.sin(np.arange(4096) * 2 * np.pi * 157 / 12_000)).tolist(),
        },
        {
            "machine_id": "M00001",
            "event_time": newest - 5 * day,
            "sampling_rate_hz": None,
            "samples": random.normal(size=256).tolist(),
        },
        {
            "machine_id": "M00002",
            "event_time": newest - 5 * day,
            "sampling_rate_hz": 12_000.0,
            "samples": [1.0, float("nan")] * 64,
        },
        {
            "machine_id": "M00002",
            "event_time": newest - 4 * day,
            "sampling_rate_hz": 12_000.0,
            "samples": [1.0, 2.0],
        },
    ]
    rows.append(rows[0])
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "waves.parquet")
    arguments = sources(small_fleet, tmp_path / "o", waveforms=str(tmp_path / "waves.parquet"))
    features.main(FeaturesConfig(**arguments, kind=str(kind)))
    note = json.loads((tmp_path / "o/features.json").read_text())["tables"]["waveforms"]
    assert (note["rows_in"], note["repeats"], note["quarantined"]) == (5, 1, 3)
    assert set(note["reasons"]) == {
        "sampling_rate_hz: missing",
        "samples: a number in it is missing or not finite",
        "samples: fewer than 64 numbers",
    }
    table = read(tmp_path / "o")
    machine_rows = [row for row in table.to_pylist() if row["machine_id"] == "M00001"]
    heard = [row["waveform_dominant_hz"] for row in machine_rows]
    late = [row["event_time"] >= newest - 9 * day for row in machine_rows]
    assert [frequency == frequency for frequency in heard] == late
    assert heard[-1] == pytest.approx(157.0, abs=12_000 / 4096)
    assert machine_rows[-1]["hours_since_waveform"] == pytest.approx(9 * 24 - 24, abs=25)


def test_waveforms_that_the_kind_does_not_declare_are_refused(small_fleet, tmp_path):
    recorded = pq.read_table(small_fleet / "errors.parquet").select(["machine_id", "event_time"])
    samples = pa.array([[0.0] * 64] * recorded.num_rows)
    rates = pa.array([12_000.0] * recorded.num_rows)
    waves = str(tmp_path / "waves.parquet")
    columns = recorded.append_column("sampling_rate_hz", rates).append_column("samples", samples)
    pq.write_table(columns, waves)
    arguments = sources(small_fleet, tmp_path / "o", waveforms=waves)
    with pytest.raises(ContractError, match="declares none, and some are given"):
        features.main(FeaturesConfig(**arguments, kind=KIND))


def test_raw_tables_without_a_kind_train_at_once(small_fleet, tmp_path, capsys):
    arguments = sources(small_fleet, tmp_path, mapping_telemetry=None)
    config = TrainConfig(
        **arguments,
        engine="process",
        model=SETTINGS,
        bootstrap=5,
        every_hours=48.0,
        test_proportionality=False,
    )
    train.main(config)
    output = capsys.readouterr().out
    assert f"quarantine:  {tmp_path}/rows/quarantine" in output
    loaded = load_model(tmp_path / "model")
    assert loaded.features.sensor_names == CONFIG.features.sensor_names
    assert loaded.features.components == tuple(sorted(CONFIG.features.components))
    assert parse_kind((tmp_path / "rows/kind.yaml").read_text()) == loaded.features


def test_runs_to_failure_need_no_table_of_failures(small_fleet, tmp_path):
    arguments = sources(small_fleet, tmp_path, failures=None, maintenance=None)
    config = FeaturesConfig(**arguments, run_to_failure=True, every_hours=240.0, kind=KIND)
    features.main(config)
    rows = read(tmp_path).to_pylist()
    assert {row["event"] for row in rows} == {1}
    assert {row["failure_mode"] for row in rows} == {"end of run"}
    ends = {}
    for row in rows:
        end = row["event_time"].timestamp() / 3600 + row["hours_watched"]
        ends.setdefault(row["machine_id"], set()).add(round(end, 6))
    assert all(len(machine_ends) == 1 for machine_ends in ends.values())


def test_training_asks_for_rows_or_tables(tmp_path, small_fleet):
    with pytest.raises(ContractError, match="either --features or --telemetry"):
        train.main(TrainConfig(output=str(tmp_path), engine="process"))
    arguments = sources(small_fleet, tmp_path, failures=None)
    with pytest.raises(ContractError, match=r"--failures is missing.*--run-to-failure"):
        train.main(TrainConfig(**arguments, engine="process"))
