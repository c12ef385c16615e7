"""What a table's columns mean: by a mapping file, or inferred; every row accounted for."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.framework.command import run_job
from jobs.mapping.check import CheckConfig
from jobs.mapping.check import main as check
from jobs.mapping.suggest import SuggestConfig
from jobs.mapping.suggest import main as suggest
from jobs.static_table.sources import read_rows
from lib.contract import ContractError, read_checked
from lib.static_table.attributes import unsuitable
from lib.static_table.table_mapping import (
    infer_table_mapping,
    parse_table_mapping,
    read_table_mapping,
    scoring_mapping,
)
from tests.static_table.tables import CUSTOMERS_YAML, customers, write_csv

HEAD = "contract: rows\ncolumns:\n  row_id: id\n  label: left\n"


def test_every_column_that_may_be_one_becomes_a_typed_attribute(tmp_path: Path):
    columns, _ = customers(300, 1)
    columns["country"] = ["NL"] * 300
    columns["Churn Reason"] = ["price" if c == "Yes" else "" for c in columns["Churn"]]
    columns["copy"] = ["gone" if c == "Yes" else "there" for c in columns["Churn"]]
    mapping = infer_table_mapping(str(write_csv(tmp_path / "t.csv", columns)))
    assert mapping.source_of("row_id") == "customerID"
    assert mapping.source_of("label") == "Churn"
    attributes = mapping.mapping.contract.attributes
    assert {"contract", "tenure", "senior_citizen", "total_charges"} <= set(attributes)
    assert set(mapping.leaks) == {"Churn Reason", "copy"}
    assert mapping.left_out["country"] == "the same value in every row of the sample"
    assert "AUC 1.000" in mapping.left_out["copy"]
    assert not {"country", "churn_reason", "copy"} & set(attributes)


def test_a_label_may_be_named_and_two_texts_of_it_are_marked_as_unsure(tmp_path: Path):
    rows = [("p", "stays"), ("q", "went"), ("r", "stays")] * 40
    columns = {
        "nr": [f"x{k}" for k in range(120)],
        "size": [f"{k % 7}.5" for k in range(120)],
        "state": [state for _, state in rows],
    }
    path = str(write_csv(tmp_path / "t.csv", columns))
    with pytest.raises(ContractError, match=r"--label-column COLUMN.*the table has: nr, .*state"):
        infer_table_mapping(path)
    with pytest.raises(ContractError, match="no column 'sate'; did you mean 'state'"):
        infer_table_mapping(path, "sate")
    with pytest.raises(ContractError, match="--label-column: the column 'size' does not hold two"):
        infer_table_mapping(path, "size")
    mapping = infer_table_mapping(path, "state")
    assert any("which of stays, went is true is not known" in doubt for doubt in mapping.unsure)
    assert read_checked(mapping.mapping, path).good["label"].to_pylist().count(True) == 40


def test_a_table_without_ids_gets_the_numbers_of_its_lines(tmp_path: Path):
    columns = {"age": [k % 50 for k in range(60)], "exited": [int(k % 5 == 0) for k in range(60)]}
    path = str(write_csv(tmp_path / "t.csv", columns))
    mapping = infer_table_mapping(path)
    ids = read_checked(mapping.mapping, path).good["row_id"].to_pylist()
    assert ids == [str(k + 2) for k in range(60)]


def test_what_is_left_out_later_leaves_the_inferred_file_too(tmp_path: Path):
    columns, _ = customers(300, 2)
    columns["town"] = [f"town {k // 2 if k < 200 else k}" for k in range(300)]
    path = str(write_csv(tmp_path / "t.csv", columns))
    mapping = infer_table_mapping(path)
    assert "town" in mapping.mapping.contract.attributes
    reasons = unsuitable(read_checked(mapping.mapping, path).good, mapping)
    assert reasons["town"].startswith("200 different values of 'town' in 300 rows")
    without = mapping.without(reasons)
    assert "town" not in without.mapping.contract.attributes
    assert "# left out: town: 200 different values" in without.text
    assert without.left_out["town"] == reasons["town"]
    again = parse_table_mapping(without.text, "mapping.yaml")
    assert again.mapping.contract.attributes == without.mapping.contract.attributes
    assert len(again.mapping.contract.attributes) == len(mapping.mapping.contract.attributes) - 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, r"m.yaml:1: needs the section 'attributes'"),
        (HEAD + "attributes:\n  age: {from: age, type: nmber}\n", r"m.yaml:6: .*mean 'number'"),
        (
            HEAD + "attributes:\n  label: {from: age, type: number}\n",
            r"m.yaml:6: attributes.label: 'label' is a column of the contract 'rows'",
        ),
        ("contract: rows\ncolumns:\n  label: left\n", r"m.yaml:3: columns: nothing fills 'row_id'"),
        (HEAD.replace("rows", "row"), r"m.yaml:1: contract: 'row' is not possible here; did you"),
        (HEAD + "  grup_id: g\n", r"m.yaml:5: columns.grup_id: .*did you mean 'group_id'"),
        (
            HEAD + "attributes:\n  age: {from: age, type: number}\n"
            "unpivot: {columns: [a, b], label: k, value: v}\n",
            r"m.yaml:7: unpivot: a table without times has a row for each thing already",
        ),
    ],
)
def test_a_wrong_mapping_file_is_refused_with_its_line(text: str, message: str, tmp_path: Path):
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(ContractError, match=message):
        read_table_mapping(path)


def test_a_declared_category_with_too_many_values_is_refused_with_its_line(tmp_path: Path):
    columns = {
        "id": [f"c{k}" for k in range(100)],
        "left": [k % 3 == 0 for k in range(100)],
        "plate": [f"p{k % 60}" for k in range(100)],
    }
    path = str(write_csv(tmp_path / "t.csv", columns))
    mapping = parse_table_mapping(
        HEAD + "attributes:\n  plate: {from: plate, type: category}\n", "m.yaml"
    )
    with pytest.raises(
        ContractError,
        match=r"m.yaml:6: attributes.plate: 60 different values of 'plate' in 100 rows: more an id "
        r"than a category; leave it out, bring values together with 'values'",
    ):
        unsuitable(read_checked(mapping.mapping, path).good, mapping)


def test_rows_are_scored_without_label_and_group():
    text = CUSTOMERS_YAML.replace("attributes:", "  group_id: {from: household}\nattributes:")
    mapping = scoring_mapping(parse_table_mapping(text, "m.yaml").mapping)
    assert mapping.contract.names[0] == "row_id"
    assert mapping.contract.names[1:] == mapping.contract.attributes
    assert not {"Churn", "household"} & set(mapping.source_columns)


def test_rows_whose_label_is_not_known_yet_are_scored_though_training_left_them_out():
    text = CUSTOMERS_YAML + "where: {Churn: {present: true}, tenure: {above: 0}}\n"
    mapping = scoring_mapping(parse_table_mapping(text, "m.yaml").mapping)
    assert [condition.column for condition in mapping.where] == ["tenure"]
    assert "Churn" not in mapping.source_columns


def test_the_guide_s_mapping_files_are_taken():
    guide = (Path(__file__).parents[2] / "jobs/static_table/README.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    mappings = [parse_table_mapping(block, "README.md") for block in blocks]
    assert [len(mapping.mapping.contract.attributes) for mapping in mappings] == [5, 4]


def test_suggest_and_check_know_the_contract_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = str(write_csv(tmp_path / "telco.csv", customers(100, 3)[0]))
    target = tmp_path / "telco.yaml"
    run_job(SuggestConfig, suggest, [table, "--contract", "rows", "--output", str(target)])
    assert "contract: static_table.rows" in capsys.readouterr().out
    run_job(CheckConfig, check, [table, "--mapping", str(target), "--rows", "2"])
    assert "rows: 100 = 100 good + 0 set aside" in capsys.readouterr().out


CELLS = {
    "id": st.sampled_from(["a", "b", "c", "d", "", "x" * 200, "e\x07"]),
    "left": st.sampled_from(["yes", "no", "1", "0", "", "maybe", "TRUE"]),
    "age": st.sampled_from(["1", "2.5", "", " ", "old", "1e400", "-3"]),
    "plan": st.sampled_from(["basic", "pro", "", "a,b", 'qu"ote']),
    "test": st.sampled_from(["", "t"]),
}
MAPPING = HEAD.replace("contract: rows\n", "contract: rows\nwhere: {test: {present: false}}\n") + (
    "attributes:\n  age: {from: age, type: number, low: 0}\n  plan: {from: plan, type: category}\n"
)


SOUND = {"id": "sound", "left": "no", "age": "3", "plan": "pro", "test": ""}


@settings(max_examples=60)
@given(rows=st.lists(st.fixed_dictionaries(CELLS), max_size=25))
def test_every_row_is_good_or_set_aside_or_left_out_or_a_repeat(rows: list[dict[str, str]]):
    mapping = parse_table_mapping(MAPPING, "m.yaml").mapping
    rows = [*rows, SOUND]
    with tempfile.TemporaryDirectory() as folder:
        columns = {name: [row[name] for row in rows] for name in CELLS}
        path = str(write_csv(Path(folder) / "t.csv", columns))
        good, summary = read_rows(mapping, path, f"{folder}/quarantine")
    total = good.num_rows + summary.quarantined + summary.left_out + summary.repeats
    assert total == summary.rows_in == len(rows)
    assert summary.left_out == sum(row["test"] == "t" for row in rows)
    assert sum(summary.reasons.values()) == summary.quarantined
    assert len(set(good["row_id"].to_pylist())) == good.num_rows
    assert "sound" in good["row_id"].to_pylist()
    unlabelled = [row for row in rows if not row["left"] and not row["test"] and row["id"] == "a"]
    assert summary.reasons.get("label: missing", 0) >= len(unlabelled)


def test_a_table_without_a_good_row_is_refused_with_the_most_frequent_reason(tmp_path: Path):
    columns = {"id": ["a", "b", "c"], "left": ["", "", "maybe"], "age": [1, 2, 3]}
    path = str(write_csv(tmp_path / "t.csv", columns))
    mapping = parse_table_mapping(
        HEAD + "attributes:\n  age: {from: age, type: number}\n", "m.yaml"
    ).mapping
    with pytest.raises(
        ContractError,
        match=r'3 of 3 rows were set aside; most often "label: missing", e.g. .*line 2',
    ):
        read_rows(mapping, path, str(tmp_path / "quarantine"))
