"""Files as other people have them, brought in on Ray: no row is lost without a word."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from jobs import ingestion
from lib.contract import ContractError, QuarantineSummary, parse_mapping
from lib.storage import open_storage
from tests.contract.factories import PARCELS

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("ray_on_two_cores"),
]

HEADER = "ID,SENT,WEIGHT,NOTE\n"
MAPPING = """
contract: parcels
{more}
columns:
  parcel_id: {parcel_id}
  sent_at: {{from: SENT, timezone: UTC}}
  weight_kg: WEIGHT
  postage_minor: {{value: 1, unit: minor}}
  kind: {{value: small}}
"""


def mapping(more: str = "", parcel_id: str = "ID"):
    return parse_mapping(MAPPING.format(more=more, parcel_id=parcel_id), [PARCELS], "p.yaml")


def read(source: Path, output: Path, **options) -> tuple[pa.Table, QuarantineSummary]:
    rows = ingestion.read(mapping(**options), str(source), str(output / "quarantine"))
    table = pa.concat_tables(ray.get(rows.to_arrow_refs()))
    once = ingestion.deduplicate(table, PARCELS, "parcel_id", str(output / "quarantine"))
    return once, ingestion.summary(open_storage(output), "quarantine")


def row(number: int) -> str:
    return f"{number},2025-01-01,1,note {number}\n"


def test_one_stray_quote_in_a_long_file_costs_one_row(tmp_path):
    lines = [row(number) for number in range(60_000)]
    lines[40_000] = lines[40_000].replace("40000", '"40000', 1)
    (tmp_path / "p.csv").write_text(HEADER + "".join(lines))
    table, summary = read(tmp_path / "p.csv", tmp_path)
    assert (table.num_rows, summary.rows_in, summary.quarantined) == (59_999, 60_000, 1)
    (aside,) = (tmp_path / "quarantine").glob("*.parquet")
    assert pq.read_table(aside)["quarantine_row"].to_pylist() == [40_002]


def test_what_was_computed_of_rows_is_checked_with_their_keys(tmp_path):
    (tmp_path / "p.csv").write_text(HEADER + "".join(map(row, range(4))))
    table, _ = read(tmp_path / "p.csv", tmp_path)
    weights = pa.array([1.0, -1.0, float("nan"), 2.0])
    position = PARCELS.names.index("weight_kg")
    computed = table.set_column(position, PARCELS.schema.field(position), weights)
    quarantine = str(tmp_path / "computed")
    once = ingestion.deduplicate(computed, PARCELS, "parcel_id", quarantine, passed=False)
    assert once["weight_kg"].to_pylist() == [1.0, 2.0]
    ids = pq.read_table(next((tmp_path / "computed").glob("*.parquet")))["parcel_id"].to_pylist()
    assert ids == computed["parcel_id"].to_pylist()[1:3]


@pytest.mark.parametrize("line_index", [500, 40_000])
def test_a_ragged_line_is_set_aside_wherever_it_stands(tmp_path, line_index):
    lines = [row(number) for number in range(60_000)]
    lines[line_index] = lines[line_index].replace("\n", ",more\n")
    (tmp_path / "p.csv").write_text(HEADER + "".join(lines))
    table, summary = read(tmp_path / "p.csv", tmp_path)
    assert (table.num_rows, summary.rows_in) == (59_999, 60_000)
    assert summary.reasons == {"line: 5 fields where 4 were expected": 1}
    assert summary.most_frequent_reason("p.csv").endswith(f"e.g. line {line_index + 2:,}")


def test_days_without_rows_are_read_and_told(tmp_path):
    days = tmp_path / "days"
    days.mkdir()
    (days / "1.csv").write_text(HEADER)
    (days / "2.csv").write_text("")
    (days / "3.csv").write_text(HEADER + row(3))
    (days / "_SUCCESS").write_text("")
    table, summary = read(days, tmp_path)
    assert (table.num_rows, summary.rows_in, summary.empty_files) == (1, 1, 2)


def test_a_source_without_any_row_has_none_and_says_so(tmp_path):
    (tmp_path / "p.csv").write_text(HEADER)
    table, summary = read(tmp_path / "p.csv", tmp_path)
    assert table.num_rows == 0
    assert table.schema == PARCELS.schema
    assert summary.most_frequent_reason("p.csv") == "p.csv: holds no rows"


def test_rows_that_where_leaves_out_are_counted(tmp_path):
    (tmp_path / "p.csv").write_text(HEADER + "".join(row(number) for number in range(10)))
    table, summary = read(
        tmp_path / "p.csv", tmp_path, more="where: {NOTE: {not_in: [note 3, note 4]}}"
    )
    assert (table.num_rows, summary.rows_in, summary.left_out) == (8, 10, 2)


def test_row_numbers_are_the_same_in_however_many_pieces_a_file_is_read(tmp_path):
    rows = pa.table({"SENT": ["2025-01-01"] * 100, "WEIGHT": [1.0] * 100})
    pq.write_table(rows, tmp_path / "p.parquet", row_group_size=7)
    options = {"parcel_id": "{from_file: [stem, row_number]}"}
    table, _ = read(tmp_path / "p.parquet", tmp_path / "whole", **options)
    pieces = ingestion.read(
        mapping(**options),
        str(tmp_path / "p.parquet"),
        str(tmp_path / "q"),
        piece_rows=10,
        batch_rows=3,
    ).take_all()
    ids = [f"p-{number}" for number in range(1, 101)]
    assert sorted(table["parcel_id"].to_pylist()) == sorted(ids)
    assert sorted(parcel["parcel_id"] for parcel in pieces) == sorted(ids)


def test_rows_that_do_not_come_to_the_check_of_their_keys_stop_the_job(tmp_path):
    (tmp_path / "p.csv").write_text(HEADER + row(1) + row(2))
    read(tmp_path / "p.csv", tmp_path)
    (entry,) = (tmp_path / "quarantine" / "ledger").glob("keys-*.json")
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"rows_in": 1}))
    with pytest.raises(ContractError, match="2 rows were handed on, and 1 came"):
        ingestion.summary(open_storage(tmp_path), "quarantine")


def test_what_other_programs_leave_does_not_change_a_fingerprint(tmp_path):
    (tmp_path / "p.csv").write_text(HEADER + row(1))
    before = ingestion.fingerprint_of([str(tmp_path)])
    for name in (".DS_Store", "_SUCCESS", "p.csv.crc"):
        (tmp_path / name).write_text("x")
    assert ingestion.fingerprint_of([str(tmp_path)]) == before
    (tmp_path / "q.csv").write_text(HEADER)
    assert ingestion.fingerprint_of([str(tmp_path)]) != before


def test_folders_that_give_a_column_count_in_a_fingerprint(tmp_path):
    folder = tmp_path / "kind=small"
    folder.mkdir()
    (folder / "p.csv").write_text(HEADER + row(1))
    before = ingestion.fingerprint_of([str(tmp_path)])
    folder.rename(tmp_path / "kind=large")
    assert ingestion.fingerprint_of([str(tmp_path)]) != before


def test_names_of_files_count_in_a_fingerprint_where_a_mapping_reads_them(tmp_path):
    (tmp_path / "m.yaml").write_text(MAPPING.format(more="", parcel_id="{from_file: stem}"))
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text(HEADER + row(1))
    paths = [str(data), str(tmp_path / "m.yaml")]
    before = ingestion.fingerprint_of(paths)
    (data / "a.csv").rename(data / "b.csv")
    assert ingestion.fingerprint_of(paths) != before
    assert ingestion.fingerprint_of(paths[:1]) == ingestion.fingerprint_of([str(data / "b.csv")])
