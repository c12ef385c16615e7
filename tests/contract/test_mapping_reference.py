"""The reference of mapping files: every key is there, and every example is parsed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from cluster.references import DOCUMENTS, written
from lib.contract import ContractError, mapping_keys, parse_mapping
from lib.contract.aggregation import OPERATIONS
from lib.contract.condition import BOUNDS
from lib.contract.mapping_file import load_mapping
from lib.contract.mapping_reference import EXAMPLES, complete, examples, reference
from lib.contract.reading_keys import reading_keys
from lib.declaration.marked_section import MarkError, with_section

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("path", "text"), examples())
def test_every_example_of_the_reference_is_parsed(path: str, text: str, tmp_path: Path):
    (tmp_path / "plans.csv").write_text("id,plan,since\n1,basic,2024\n")
    (tmp_path / "mapping.yaml").write_text(text)
    mapping = load_mapping(tmp_path / "mapping.yaml", [EXAMPLES])
    assert mapping.contract.name == "examples"


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (getattr(mapping_keys, section), name)
        for section in ("TOP", "FILE", "COLUMN", "TIME", "MONEY", "NUMBER", "TEXT", "AGGREGATE")
        for name in getattr(mapping_keys, section)
    ],
)
def test_an_example_shows_its_key(keys: mapping_keys.Keys, name: str):
    assert f"{name}:" in keys[name].example


def test_a_key_without_an_entry_in_the_reference_is_refused():
    with pytest.raises(ContractError, match="unknown key"):
        parse_mapping(
            complete("file: {delimiter: ';'}").replace("delimiter", "separator"), [EXAMPLES]
        )
    with pytest.raises(ContractError, match="unknown key"):
        parse_mapping(complete("plan: {from: a, zone: UTC}"), [EXAMPLES])


def test_what_readers_compute_with_is_in_the_reference():
    assert set(OPERATIONS) <= set(mapping_keys.AGGREGATE)
    assert set(BOUNDS) <= set(mapping_keys.CONDITION)
    documented = {*mapping_keys.TIME, *mapping_keys.MONEY, *mapping_keys.NUMBER, *mapping_keys.TEXT}
    documented |= {*mapping_keys.UNIT, *mapping_keys.OPTIONAL}
    for column in EXAMPLES.columns:
        assert set(reading_keys(column)) <= documented, column.name


def test_kinds_of_columns_are_those_whose_reader_takes_the_keys():
    text = reference()
    assert "Of columns that hold: time." in text
    assert (
        "Of columns that hold: amount of money, number, number with a unit, whole number, flag."
        in text
    )
    assert "negative" not in reading_keys(
        next(c for c in EXAMPLES.columns if c.type == pa.string())
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_holds_what_the_code_says(document: str):
    assert (ROOT / document).read_text(encoding="utf-8") == written(document), (
        "run python -m cluster.references"
    )


def test_a_document_without_marks_is_refused():
    with pytest.raises(MarkError, match="begin x"):
        with_section("no marks", "x", "text")
