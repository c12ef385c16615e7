"""Whatever table it is: a suggested mapping parses, and reading the table by it loses no row."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.mapping.contracts import candidates
from lib.contract import ContractError, Mapping, parse_mapping
from lib.contract.reshape import Pivot, Unpivot
from lib.contract.source import read_checked
from lib.contract.suggestion.suggestion import Suggestion, suggest
from tests.contract.any_tables import AnyFile, any_csv, any_table

CANDIDATES = candidates(on_request=True)
NAMES = [None, *(candidate.name for candidate in CANDIDATES)]
SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def read_by(suggestion: Suggestion, path: Path) -> tuple[Mapping, int]:
    """The suggested mapping, and how many rows reading the file by it accounts for."""
    mapping = parse_mapping(suggestion.text, [suggestion.choice.candidate.contract])
    checked = read_checked(mapping, str(path), may_be_empty=True)
    counts = (checked.good.num_rows, checked.quarantined.num_rows, checked.repeats)
    assert sum(counts) + checked.merged + checked.left_out == checked.rows_in
    return mapping, checked.rows_in


def times(mapping: Mapping) -> int:
    """Rows that a mapping makes of a source row."""
    return len(mapping.reshape.columns) if isinstance(mapping.reshape, Unpivot) else 1


def chosen(name: str | None) -> list:
    return candidates(name)


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(file=any_csv(), name=st.sampled_from(NAMES))
def test_a_suggestion_for_any_csv_file_parses_and_conserves_rows(file: AnyFile, name: str | None):
    with TemporaryDirectory() as folder:
        path = Path(folder, f"export{file.ending}")
        path.write_bytes(file.content)
        try:
            mapping, rows_in = read_by(suggest(str(path), chosen(name)), path)
        except ContractError as error:  # texts of names and values may look like a broken header
            if "mend the header" not in str(error):
                raise
            return
    lines = file.rows + 1 - mapping.file.skip_lines - mapping.file.header
    if mapping.file.columns:
        lines = file.rows
    assert rows_in == lines * times(mapping)


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(table=any_table(), name=st.sampled_from(NAMES))
def test_a_suggestion_for_any_parquet_file_parses_and_conserves_rows(
    table: pa.Table, name: str | None
):
    with TemporaryDirectory() as folder:
        path = Path(folder, "export.parquet")
        pq.write_table(table, path)
        mapping, rows_in = read_by(suggest(str(path), chosen(name)), path)
    assert rows_in == table.num_rows * times(mapping)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_table_of_a_long_history_is_read_as_one_of_every_contract(name: str, tmp_path: Path):
    path = tmp_path / "readings.csv"
    lines = [
        f"m{k % 3},2024-03-01 10:{k % 60:02d}:00,{tag},{k}.5"
        for k in range(40)
        for tag in ("T1", "V7")
    ]
    path.write_text("\n".join(["asset,ts,tag,reading", *lines, ""]))
    mapping, rows_in = read_by(suggest(str(path), chosen(name)), path)
    assert rows_in == len(lines)
    assert isinstance(mapping.reshape, Pivot) == (name in ("maintenance.telemetry",))


def test_a_table_whose_columns_all_have_one_name_is_refused_by_that_name(tmp_path: Path):
    column = pa.array([1, 2])
    pq.write_table(pa.Table.from_arrays([column, column], ["id", "id"]), tmp_path / "t.parquet")
    with pytest.raises(ContractError, match="2 columns have this name"):
        suggest(str(tmp_path / "t.parquet"), chosen(None))
