"""From the table of an experiment over its model to effects of customers that a plan uses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pytest

from jobs.churn import score_uplift, train_uplift
from jobs.churn.score_uplift import ScoreUpliftConfig
from jobs.churn.train_uplift import TrainUpliftConfig
from lib.contract import ContractError
from lib.registry import ArtifactError
from lib.uplift.model import load_experiment_model
from lib.uplift.scores import UpliftScores, read_uplift

MAPPING = """
contract: experiment_rows
columns:
  row_id: {from: customer}
  arm: {from: offer, values: {T: training, "-": control}}
  outcome: {from: left, values: {"1": "true", "0": "false"}}
attributes:
  seats: {from: seats, type: number}
  segment: {from: segment, type: category, words: kind of customer}
"""


def customers(seed: int, rows: int) -> pa.Table:
    """Training keeps customers with few seats, and nobody else."""
    draw = np.random.default_rng(seed)
    seats, treated = draw.integers(1, 100, rows), draw.random(rows) < 0.5
    fall = np.where(seats < 40, 0.3, 0.0)
    left = draw.random(rows) < 0.4 - fall * treated
    return pa.table(
        {
            "customer": [f"c{k}" for k in range(rows)],
            "offer": np.where(treated, "T", "-").tolist(),
            "left": left.astype(int).tolist(),
            "seats": seats.tolist(),
            "segment": draw.choice(["small", "large"], rows).tolist(),
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uplift")
    table = customers(1, 3_000)
    broken = {name: [*table[name].to_pylist(), "?" if name == "left" else None] for name in
              table.column_names}  # fmt: skip
    broken["left"] = [str(value) for value in broken["left"]]
    pa.csv.write_csv(pa.table(broken), folder / "pilot.csv")
    (folder / "pilot.yaml").write_text(MAPPING)
    train_uplift.main(
        TrainUpliftConfig(
            experiment=str(folder / "pilot.csv"),
            mapping_experiment=folder / "pilot.yaml",
            output=str(folder / "out"),
            unwanted=True,
            bootstrap=40,
        )
    )
    return folder


@pytest.fixture(scope="module")
def scored(trained: Path) -> Path:
    table = customers(2, 500).drop_columns(["offer", "left"])
    pa.csv.write_csv(table, trained / "customers.csv")
    score_uplift.main(
        ScoreUpliftConfig(
            model=str(trained / "out" / "model"),
            customers=str(trained / "customers.csv"),
            output=str(trained / "effects"),
        )
    )
    return trained / "effects"


def test_the_report_says_what_training_changed_and_for_whom(trained: Path):
    report = json.loads((trained / "out" / "report.json").read_text())
    own = report["interventions"]["training"]
    assert own["effect"]["low"] < 0.12 < own["effect"]["high"]
    assert own["methods"]["ours"]["behind"] is None
    assert own["methods"]["random"]["behind"]["low"] > 0.0
    assert own["fifths"][0]["value"] > own["fifths"][-1]["value"]
    rows = report["rows"]
    assert rows["rows_in"] == own["treated"] + own["untreated"] + rows["quarantined"] == 3_001
    assert rows["quarantined"] == 1
    page = (trained / "out" / "report.html").read_text()
    assert "does not" not in page.split("Summary")[1].split("</section>")[0]
    assert "kind of customer" not in page


def test_effects_of_other_customers_are_those_that_are_true(scored: Path):
    table = ds.dataset(scored / "data").to_table()
    seats = dict(enumerate(customers(2, 500)["seats"].to_pylist()))
    few = np.array([seats[int(name[1:])] < 40 for name in table["customer_id"].to_pylist()])
    effects = table["uplift"].to_numpy()
    assert effects[few].mean() > 0.15
    assert effects[~few].mean() < 0.12
    assert json.loads((scored / "uplift.json").read_text())["suffices"] == {"training": True}


def test_a_plan_reads_falls_of_its_customers_and_playbooks(scored: Path):
    uplift = read_uplift(str(scored))
    falls = uplift.falls(["c3", "elsewhere"], ["success_call", "training"])
    assert np.isnan(falls[0, 0])
    assert np.isnan(falls[1]).all()
    table = uplift.table.to_pylist()
    (own,) = (row["uplift"] for row in table if row["customer_id"] == "c3")
    assert falls[0, 1] == own


def test_what_a_plan_cannot_use_is_refused_or_left_to_the_playbooks(scored: Path):
    uplift = read_uplift(str(scored))
    with pytest.raises(ContractError, match=r"no playbook is called 'training'.*'trainings'"):
        uplift.falls(["c3"], ["trainings"])
    with pytest.raises(ContractError, match="whose outcome is to be prevented"):
        UpliftScores(uplift.table, uplift.suffices, False).falls(["c3"], ["training"])
    unsure = UpliftScores(uplift.table, {"training": False}, True)
    assert np.isnan(unsure.falls(["c3"], ["training"])).all()
    with pytest.raises(ContractError, match=r"no uplift\.json is there"):
        read_uplift(str(scored.parent))


def test_the_artifact_gives_the_same_effects(trained: Path, scored: Path):
    model = load_experiment_model(trained / "out" / "model")
    assert (model.control, model.is_unwanted, model.suffices) == (
        "control", True, {"training": True},
    )  # fmt: skip
    with pytest.raises(ArtifactError, match="no manifest"):
        load_experiment_model(scored)


def checked(config: TrainUpliftConfig) -> None:
    config.check()
    train_uplift.main(config)


@pytest.mark.parametrize(
    ("mapping", "options", "message"),
    [
        (MAPPING, {"control": "contrl"}, r"no row has the arm 'contrl'"),
        (MAPPING.replace('"-": control', '"-": training'), {"control": "training"}, "got none"),
        (
            MAPPING.replace("  outcome", "  propensity: {value: 1}\n  outcome"),
            {},
            r"propensity: expected between 0 and 1, got 1 in 3,000 rows",
        ),
        (MAPPING.replace("attributes", "atributes"), {}, "attributes"),
        (MAPPING.replace("contract: experiment_rows", "contract: rows"), {}, "experiment_rows"),
        (MAPPING.replace('values: {"1": "true", "0"', 'values: {"1": "false", "0"')
         .replace('"0": "false"', '"0": "false"'), {}, "expected 30 customers or more"),
    ],
)  # fmt: skip
def test_an_experiment_that_teaches_nothing_is_refused(
    trained: Path, tmp_path: Path, mapping: str, options: dict[str, str], message: str
):
    (tmp_path / "pilot.yaml").write_text(mapping)
    config = TrainUpliftConfig(
        experiment=str(trained / "pilot.csv"),
        mapping_experiment=tmp_path / "pilot.yaml",
        output=str(tmp_path / "out"),
        unwanted=True,
        **options,
    )
    with pytest.raises(ContractError, match=message):
        checked(config)
    assert not (tmp_path / "out" / "model").exists()
