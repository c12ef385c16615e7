"""Files as public data sets have them become models by mapping files alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.maintenance import features, score, train
from jobs.maintenance.features import FeaturesConfig
from jobs.maintenance.score import ScoreConfig
from jobs.maintenance.training_config import TrainConfig
from lib.maintenance.model.model import load_model
from lib.storage import open_dataset, open_storage
from lib.survival.outcomes import SurvivalError
from tests.layout_files import LAYOUT_MARKS
from tests.maintenance.public_layouts import (
    AI4I_ROWS,
    NAB_MACHINES,
    SKAB_RUNS,
    write_ai4i,
    write_nab,
    write_nab_folder,
    write_skab,
)
from tests.maintenance.small_fleet import SETTINGS

pytestmark = LAYOUT_MARKS


def trained(folder: Path, name: str, **options: object) -> dict[str, object]:
    """The report of a training on one layout's files."""
    train.main(
        TrainConfig(
            **{
                "output": str(folder / name),
                "engine": "process",
                "bootstrap": 5,
                "test_proportionality": False,
                "model": SETTINGS,
                **options,
            }
        )
    )
    return json.loads((folder / name / "report.json").read_text())


def scored_machines(folder: Path, **telemetry: str) -> list[str]:
    """The machines that a folder's model scores, by name."""
    model, output = str(folder / "model/model"), str(folder / "scores")
    score.main(ScoreConfig(**telemetry, model=model, output=output))
    scores = open_dataset(open_storage(output), "data").to_table()
    return sorted(scores["machine_id"].to_pylist())


def source(table: str, files: Path, mapping: str) -> dict[str, str]:
    """Options that read a table from files, by a mapping file beside them."""
    return {table: str(files), f"mapping_{table}": str(files.with_name(f"{mapping}.yaml"))}


def test_one_machine_gives_rows_and_training_says_that_it_needs_more(tmp_path):
    write_nab(tmp_path)
    telemetry = source("telemetry", tmp_path / "nab.csv", "nab")
    failures = source("failures", tmp_path / "nab_failures.csv", "nab_failures")
    features.main(FeaturesConfig(**telemetry, **failures, output=str(tmp_path / "rows")))
    note = json.loads((tmp_path / "rows/features.json").read_text())
    assert note["machines"] == 1
    assert note["failure_counts"]["seen"] == 4
    message = r"--model.folds 2: expected rows of 2 machines or more.*got 1 \(machine 7\)"
    with pytest.raises(SurvivalError, match=message):
        trained(tmp_path, "model", features=str(tmp_path / "rows"))


def test_files_of_a_machine_each_train_and_name_their_machines(tmp_path):
    write_nab_folder(tmp_path)
    telemetry = source("telemetry", tmp_path / "nab", "nab_folder")
    windows = source("failures", tmp_path / "nab_windows.csv", "nab_windows")
    report = trained(tmp_path, "model", **telemetry, **windows)
    failures = (tmp_path / "nab_windows.csv").read_text().splitlines()[1:]
    note = json.loads((tmp_path / "model/rows/features.json").read_text())
    assert note["machines"] == NAB_MACHINES
    assert sum(report["failure_counts"].values()) - report["failure_counts"]["at_end"] == len(
        failures
    )
    names = sorted(f"machine_temperature_{number}" for number in range(NAB_MACHINES))
    assert scored_machines(tmp_path, **telemetry) == names


def test_runs_of_minutes_in_a_file_each_train_by_machines(tmp_path):
    write_skab(tmp_path)
    report = trained(
        tmp_path,
        "model",
        **source("telemetry", tmp_path / "skab", "skab"),
        run_to_failure=True,
        every_hours=0.02,
        warm_up_hours=0.05,
        split="machines",
        source="runs of a rig",
        model=replace(SETTINGS, alarm_hours=0.1),
    )
    model = load_model(tmp_path / "model/model")
    assert 0.1 < model.horizon < 1.0
    assert report["failure_counts"]["seen"] == SKAB_RUNS
    assert report["split"] is None


def test_flag_columns_and_row_numbers_train_and_score_in_degrees_celsius(tmp_path):
    write_ai4i(tmp_path)
    arguments = source("telemetry", tmp_path / "ai4i.csv", "ai4i")
    report = trained(
        tmp_path,
        "model",
        **arguments,
        **source("failures", tmp_path / "ai4i.csv", "ai4i_failures"),
        kind=str(tmp_path / "kind.yaml"),
        model=replace(SETTINGS, horizon_hours=240.0),
    )
    flags = (tmp_path / "ai4i.csv").read_text().splitlines()[1:]
    booked = sum(line.split(",")[8] == "1" for line in flags)
    note = json.loads((tmp_path / "model/rows/features.json").read_text())
    assert note["tables"]["telemetry"]["rows_in"] == AI4I_ROWS
    assert note["tables"]["failures"]["left_out"] == 5 * AI4I_ROWS - booked
    assert sum(report["failure_counts"].values()) - report["failure_counts"]["at_end"] == booked
    model = load_model(tmp_path / "model/model")
    assert set(model.modes) <= {"tool wear", "heat", "power", "overstrain", "random"}
    rows = open_dataset(open_storage(str(tmp_path / "model/rows")), "data").to_table().to_pydict()
    assert all(20 < mean < 35 for mean in rows["air_mean_c_24h"])
    assert scored_machines(tmp_path, **arguments) == ["H", "L", "M"]
