"""`jobs.static_table.train` and `score`, as commands, on tables whose law is known."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.framework.command import run_job
from jobs.static_table.score import ScoreConfig
from jobs.static_table.score import main as score
from lib.calibration import expected_calibration_error
from lib.churn.model.model import load_model
from lib.evaluation import roc_auc
from lib.registry import ArtifactError, Registry
from tests.static_table.tables import CUSTOMERS_YAML, MODES, customers, machines, write_csv
from tests.static_table.trainings import FinishedTraining, run_training

ROOT = Path(__file__).parents[2]


def scored(training: FinishedTraining, system: str, table: Path, folder: Path, *more: str) -> list:
    """Rows that the job wrote."""
    arguments = [f"--system={system}", f"--static={table}", f"--output={folder}", *more]
    run_job(ScoreConfig, score, [*arguments, f"--model={training.model}"])
    return pq.read_table(folder / "data").to_pylist()


def test_new_customers_are_ranked_about_as_well_as_by_the_law_itself_and_calibrated(
    trained_customers: FinishedTraining, tmp_path: Path
):
    columns, law = customers(4000, 99)
    table = write_csv(tmp_path / "new.csv", columns)
    rows = scored(trained_customers, "churn", table, tmp_path / "scores")
    assert [row["row_id"] for row in rows] == columns["customerID"]
    labels = np.array([text == "Yes" for text in columns["Churn"]])
    probabilities = np.array([row["probability"] for row in rows])
    assert roc_auc(labels, law) - 0.03 < roc_auc(labels, probabilities) <= roc_auc(labels, law)
    assert abs(probabilities.mean() - labels.mean()) < 0.03
    assert expected_calibration_error(labels, probabilities, 10) < 0.05
    assert {row["model_version"] for row in rows} == {rows[0]["model_version"]}


def test_reasons_name_what_drives_the_law_and_in_the_words_of_the_mapping_file(
    trained_customers: FinishedTraining, tmp_path: Path
):
    columns, _ = customers(1000, 98)
    table = write_csv(tmp_path / "new.csv", columns)
    rows = scored(trained_customers, "churn", table, tmp_path / "scores")
    reasons = [json.loads(row["reasons"]) for row in rows]
    assert {len(few) for few in reasons} == {3}
    first = [few[0]["attribute"] for few in reasons]
    assert np.mean([name in ("contract", "tenure") for name in first]) > 0.85
    new = next(
        few
        for few, kind, months in zip(reasons, columns["Contract"], columns["tenure"], strict=True)
        if kind == "Month-to-month" and months <= 1
    )
    by_name = {reason["attribute"]: reason for reason in new}
    assert by_name["contract"]["effect"] > 0
    assert by_name["contract"]["words"] == "kind of contract: Month-to-month; raises the risk"
    assert re.fullmatch(
        r"months since the contract began: [01] months, usually [\d.]+ months; raises the risk",
        by_name["tenure"]["words"],
    )


def test_the_report_says_how_rows_were_split_and_what_that_does_not_say(
    trained_customers: FinishedTraining,
):
    page = (trained_customers.folder / "report.html").read_text()
    for text in (trained_customers.printed, page):
        assert "at random, each label in the same shares in every part" in text
        assert "It says nothing of later ones" in text
    facts = trained_customers.facts
    assert facts["split"] == {"by": "label", "train": 900, "calibrate": 300, "test": 300}
    assert facts["auc"]["low"] < facts["auc"]["value"] < facts["auc"]["high"]
    assert next(iter(facts["methods"])) == "prevalence alone"
    assert {"logistic regression", "ours"} <= set(facts["methods"])
    assert facts["methods"]["prevalence alone"]["auc"] == 0.5
    assert facts["rows"]["rows_in"] == 1500
    assert "rows: 1,500 = 1,500 good + 0 set aside + 0 left out + 0 repeats\n" in (
        trained_customers.printed
    )
    assert facts["leaks"] == facts["leaks_left_out"] == {}
    assert "Look at these columns first" not in page
    assert page.count("<svg") == 9


def test_without_a_mapping_file_columns_are_typed_and_what_names_rows_or_failures_is_left_out(
    trained_machines: FinishedTraining,
):
    printed = trained_machines.printed
    assert "air_temperature (number)" in printed
    assert "type (category)" in printed
    assert "left out: Product ID: another value in each row" in printed
    for name in MODES:
        assert re.search(rf"likely leak, left out: {name}: ", printed), name
        assert name in trained_machines.facts["leaks_left_out"]
    assert (trained_machines.folder / "mapping.yaml").is_file()
    page = (trained_machines.folder / "report.html").read_text()
    assert page.index("Look at these columns first") < page.index("Summary")


def test_new_machines_are_ranked_far_better_than_by_a_logistic_regression(
    trained_machines: FinishedTraining, tmp_path: Path
):
    columns = machines(4000, 97)
    table = write_csv(tmp_path / "new.csv", columns)
    rows = scored(trained_machines, "maintenance", table, tmp_path / "scores")
    labels = np.array(columns["Machine failure"])
    auc = roc_auc(labels, [row["probability"] for row in rows])
    assert auc > 0.92
    assert auc > trained_machines.facts["methods"]["logistic regression"]["auc"] + 0.02
    hot = [
        {reason["attribute"] for reason in json.loads(row["reasons"])}
        for row, strained in zip(rows, columns["OSF"], strict=True)
        if strained
    ]
    assert np.mean(["tool_wear" in names for names in hot]) > 0.9


def test_declared_leaks_are_named_first_and_the_model_is_measured_without_them(tmp_path: Path):
    columns = machines(3000, 3)
    mapping = tmp_path / "leaky.yaml"
    flags = "".join(f"  {name.lower()}: {{from: {name}, type: flag}}\n" for name in MODES)
    mapping.write_text(
        "contract: rows\ncolumns:\n  row_id: UDI\n  label: Machine failure\nattributes:\n"
        "  torque: {from: 'Torque [Nm]', type: number}\n"
        "  wear: {from: 'Tool wear [min]', type: number}\n" + flags
    )
    table = write_csv(tmp_path / "mills.csv", columns)
    training = run_training(
        "maintenance", table, tmp_path / "out", f"--mapping-static={mapping}", "--progress=none"
    )
    lines = training.printed.splitlines()
    assert [line.split()[2].rstrip(":") for line in lines[:5]] == [
        "twf",
        "hdf",
        "pwf",
        "osf",
        "rnf",
    ]
    assert all(line.startswith("LIKELY LEAK: ") for line in lines[:5])
    hits = sum(columns["OSF"])
    assert f"where it is true, the label is true in {hits} of {hits} rows; leave it out" in lines[3]
    methods = training.facts["methods"]
    assert methods["ours without likely leaks"]["auc"] < methods["ours"]["auc"]
    page = (training.folder / "report.html").read_text()
    assert page.index("likely leak, in the model") < page.index("Summary")


def test_what_only_one_label_has_is_left_out_of_an_inferred_mapping(tmp_path: Path):
    columns, _ = customers(400, 9)
    columns["discount"] = [k % 9 if c == "Yes" else "" for k, c in enumerate(columns["Churn"])]
    table = write_csv(tmp_path / "telco.csv", columns)
    training = run_training("churn", table, tmp_path / "out")
    reason = "it is missing exactly where the label is false"
    assert f"likely leak, left out: discount: {reason}" in training.printed
    assert f"# left out: discount: {reason}" in (training.folder / "mapping.yaml").read_text()
    assert training.facts["leaks_left_out"] == {"discount": reason}
    only = {name: columns[name] for name in ("customerID", "discount", "Churn")}
    with pytest.raises(SystemExit, match="no column is left that a model could use; declare"):
        run_training("churn", write_csv(tmp_path / "only.csv", only), tmp_path / "only")


def test_rows_without_a_label_and_second_rows_of_an_id_are_set_aside_and_counted(
    tmp_path: Path,
):
    columns, _ = customers(400, 4)
    columns["Churn"] = ["" if k < 6 else text for k, text in enumerate(columns["Churn"])]
    ids = list(columns["customerID"])
    ids[20] = ids[21]
    columns = {name: [*values, values[30]] for name, values in columns.items()}
    columns["customerID"] = [*ids, ids[30]]
    table = write_csv(tmp_path / "telco.csv", columns)
    training = run_training("churn", table, tmp_path / "out")
    line = next(line for line in training.printed.splitlines() if line.startswith("rows: "))
    assert line == (
        "rows: 401 = 393 good + 7 set aside + 0 left out + 1 repeats; most often "
        '"label: missing" (6)'
    )
    assert training.facts["rows"]["reasons"]["row_id: came before with other content"] == 1
    quarantine = pq.read_table(training.folder / "quarantine" / "rows.parquet").to_pylist()
    assert sorted(row["quarantine_row"] for row in quarantine) == [2, 3, 4, 5, 6, 7, 23]


def test_rows_of_a_group_are_in_one_part_and_the_report_says_so(tmp_path: Path):
    columns, _ = customers(600, 5)
    columns["household"] = [f"h{k // 3}" for k in range(600)]
    mapping = tmp_path / "telco.yaml"
    mapping.write_text(
        CUSTOMERS_YAML.replace("attributes:", "  group_id: {from: household}\nattributes:")
    )
    table = write_csv(tmp_path / "telco.csv", columns)
    training = run_training("churn", table, tmp_path / "out", f"--mapping-static={mapping}")
    assert training.facts["split"]["by"] == "group"
    assert "all rows of one group are in one part" in training.printed
    assert sum(training.facts["split"][part] for part in ("train", "calibrate", "test")) == 600


def test_values_that_the_model_does_not_know_and_columns_that_became_empty_are_told(
    trained_customers: FinishedTraining, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    columns, _ = customers(200, 96)
    columns["Contract"] = ["Ten years" if k < 7 else c for k, c in enumerate(columns["Contract"])]
    columns["tenure"] = [""] * 200
    del columns["Churn"]
    table = write_csv(tmp_path / "new.csv", columns)
    rows = scored(trained_customers, "churn", table, tmp_path / "scores")
    printed = capsys.readouterr().out
    assert "7 rows have a value of contract that the model has no code for" in printed
    assert "warning: tenure is missing in 100% of the rows, in 0%" in printed
    assert len(rows) == 200
    assert all(0 < row["probability"] < 1 for row in rows)
    note = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert note["unknown"] == {"contract": 7}
    assert not any("decision" in column for column in rows[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("tenure"), r"has no column 'tenure', which tenure is read from"),
        (
            lambda c: c.__setitem__("Kontract", c.pop("Contract")),
            r"no column 'Contract'.*did you mean 'Kontract'",
        ),
        (lambda c: c.update(customerID=[""] * 50), r"50 of 50 rows were set aside.*row_id"),
    ],
)
def test_a_table_that_lacks_what_the_model_reads_is_refused_by_name(
    change, message: str, trained_customers: FinishedTraining, tmp_path: Path
):
    columns, _ = customers(50, 95)
    change(columns)
    table = write_csv(tmp_path / "new.csv", columns)
    with pytest.raises(SystemExit) as end:
        scored(trained_customers, "churn", table, tmp_path / "scores")
    assert str(end.value.code).startswith("error: ")
    assert re.search(message, str(end.value.code)), end.value.code


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("  tenure: {", "  tenur: {"), r"trained with 'tenure'.*did you mean 'tenur'\?"),
        (
            ("from: tenure, type: number, unit: months", "from: tenure, type: category"),
            r"telco.yaml:8: attributes.tenure: .*trained with a number, this is a category",
        ),
    ],
)
def test_a_mapping_file_of_another_model_is_refused_by_attribute(
    change: tuple[str, str], message: str, trained_customers: FinishedTraining, tmp_path: Path
):
    table = write_csv(tmp_path / "new.csv", customers(50, 94)[0])
    mapping = tmp_path / "telco.yaml"
    mapping.write_text(CUSTOMERS_YAML.replace(*change))
    with pytest.raises(SystemExit) as end:
        scored(trained_customers, "churn", table, tmp_path / "out", f"--mapping-static={mapping}")
    assert re.search(message, str(end.value.code)), end.value.code


def test_a_model_of_another_system_is_refused_with_what_to_do(
    trained_customers: FinishedTraining, tmp_path: Path
):
    with pytest.raises(SystemExit, match="got churn_static; score it with --system churn"):
        scored(trained_customers, "maintenance", trained_customers.table, tmp_path / "out")


def test_no_service_takes_a_model_of_a_table(trained_customers: FinishedTraining):
    """The churn service loads its model by this function, from versions of `churn`."""
    with pytest.raises(ArtifactError, match="its manifest has no base of customers"):
        load_model(trained_customers.model)


def test_it_is_published_under_a_name_of_its_own_and_scored_from_there(tmp_path: Path):
    table = write_csv(tmp_path / "telco.csv", customers(400, 6)[0])
    registry = tmp_path / "registry"
    run_training("churn", table, tmp_path / "out", f"--registry={registry}", "--alias=champion")
    assert Registry(registry).systems() == ("churn_static",)
    assert len(Registry(registry).versions("churn_static")) == 1
    arguments = ["--system=churn", f"--static={table}", f"--registry={registry}"]
    run_job(ScoreConfig, score, [*arguments, f"--output={tmp_path / 'scores'}"])
    assert pq.read_table(tmp_path / "scores" / "data").num_rows == 400


def test_the_commands_of_a_system_lead_to_it(tmp_path: Path):
    table = write_csv(tmp_path / "telco.csv", customers(300, 7)[0])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "jobs.churn.train", "--static", str(table)),
            *("--output", str(tmp_path / "out"), "--bootstrap", "5", "--progress", "none"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "model:       " in done.stdout
    manifest = json.loads((tmp_path / "out" / "model" / "manifest.json").read_text())
    assert manifest["system"] == "churn_static"


def test_the_same_seed_and_rows_give_the_same_model(tmp_path: Path):
    table = write_csv(tmp_path / "telco.csv", customers(300, 8)[0])
    first, second = (
        run_training("churn", table, tmp_path / name, "--bootstrap=2") for name in ("a", "b")
    )
    for name in ("model.json", "trees-0.ubj", "mapping.yaml"):
        assert (first.model / name).read_bytes() == (second.model / name).read_bytes()
