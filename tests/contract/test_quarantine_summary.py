"""An error about rows that were set aside names the most frequent reason, with an example."""

import numpy as np
import pyarrow as pa
import pytest

from lib.contract import (
    Checked,
    ContractError,
    QuarantineSummary,
    parse_mapping,
    quarantine_examples,
    summary_of,
)
from lib.contract.origin import with_origin
from tests.contract.factories import PARCELS

MAPPING = parse_mapping(
    """
    contract: parcels
    where: {SHOP: [north]}
    columns:
      parcel_id: ID
      sent_at: {from: SENT, timezone: UTC}
      weight_kg: WEIGHT
      postage_minor: {value: 5, unit: minor}
      kind: {from: KIND, values: {s: small}}
      fragile: FRAGILE
    """,
    [PARCELS],
)


def checked(**changes: str) -> Checked:
    rows = {"ID": "a", "SENT": "2025-01-01", "WEIGHT": "1", "KIND": "s", "FRAGILE": "true"}
    rows |= {"SHOP": "north"} | changes
    table = pa.table({name: [value] * 3 for name, value in rows.items()})
    table = table.set_column(0, "ID", pa.array(["a", "b", "c"]))
    return MAPPING.check(with_origin(table, "/data/parcels.csv", np.array([2, 3, 5])))


def summary(result: Checked) -> QuarantineSummary:
    return QuarantineSummary(
        result.rows_in,
        result.repeats,
        result.quarantined.num_rows,
        result.reasons,
        result.left_out,
        quarantine_examples(result.quarantined, MAPPING),
    )


def test_the_reason_has_the_value_and_the_line():
    text = summary(checked(FRAGILE="2")).most_frequent_reason("/data/parcels.csv")
    assert text == (
        "/data/parcels.csv: 3 of 3 rows were set aside; most often "
        "\"fragile: neither true nor false; say under 'values' what is which\", e.g. '2' in line 2"
    )


def test_the_file_is_named_where_a_folder_was_read():
    text = summary(checked(WEIGHT="heavy")).most_frequent_reason("/data")
    assert text.endswith("e.g. 'heavy' in line 2 of parcels.csv")


def test_identifiers_are_not_shown():
    mapping = parse_mapping(
        "contract: parcels\ncolumns: {parcel_id: ID, sent_at: {value: 2025-01-01T00:00:00Z}, "
        "weight_kg: {value: 1}, postage_minor: {value: 1, unit: minor}, kind: {value: small}}",
        [PARCELS],
    )
    table = with_origin(pa.table({"ID": ["jane.doe@example.org"]}), "p.parquet", np.array([7]))
    (example,) = quarantine_examples(mapping.check(table).quarantined, mapping).values()
    assert (example.value, example.text("p.parquet")) == (None, "row 7")


def test_rows_that_where_leaves_out_are_counted():
    result = checked(SHOP="south")
    assert (result.rows_in, result.left_out, result.good.num_rows) == (3, 3, 0)
    text = summary_of(result, MAPPING).most_frequent_reason("parcels.csv")
    assert text.endswith("; 3 are left out by 'where'")


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            "pivot: {index: [ID, SENT], tag: TAG, value: VALUE}",
            "2 are left out by 'pivot', as no column is read from their tags",
        ),
        (
            "pivot: {index: [ID, SENT], tag: TAG, value: VALUE}\nwhere: {SENT: [never]}",
            "3 are left out by 'where' or by 'pivot', as no column is read from their tags",
        ),
    ],
)
def test_rows_that_a_pivot_leaves_out_are_said_to_be_left_out_by_it(sections, words):
    text = "contract: parcels\ncolumns: {parcel_id: ID, sent_at: {from: SENT, timezone: UTC}, "
    text += "weight_kg: W, postage_minor: {value: 1, unit: minor}, kind: {value: small}}\n"
    mapping = parse_mapping(text + sections, [PARCELS])
    columns = {"ID": ["a", "b", "c"], "SENT": ["2025-01-01"] * 3, "TAG": ["x", "W", "y"]}
    table = pa.table(columns | {"VALUE": ["1", "1", "1"]})
    result = mapping.check(with_origin(table, "/data/parcels.csv", np.array([2, 3, 5])))
    assert summary_of(result, mapping).most_frequent_reason("parcels.csv").endswith(words)


def test_rows_that_where_leaves_out_behind_an_unpivot_are_said_to_be_its_rows():
    text = """
    contract: parcels
    unpivot: {columns: [N, S], label: SHOP, value: W}
    where: {SHOP: [N]}
    columns: {parcel_id: ID, sent_at: {value: 2025-01-01T00:00:00Z}, weight_kg: W,
              postage_minor: {value: 1, unit: minor}, kind: {from: SHOP, values: {N: small}}}
    """
    mapping = parse_mapping(text, [PARCELS])
    table = pa.table({"ID": ["a", "b"], "N": ["1", "2"], "S": ["3", "4"]})
    result = mapping.check(with_origin(table, "/data/parcels.csv", np.array([2, 3])))
    assert summary_of(result, mapping).most_frequent_reason("parcels.csv") == (
        "parcels.csv: none of 4 rows was set aside; "
        "2 are left out by 'where', of the rows that 'unpivot' makes"
    )


def test_a_source_without_rows_says_so():
    assert QuarantineSummary(0, 0, 0, {}).most_frequent_reason("a.csv") == "a.csv: holds no rows"


def test_counts_that_do_not_add_up_are_refused():
    empty = PARCELS.schema.empty_table()
    with pytest.raises(ContractError, match="a row is unaccounted for"):
        Checked(empty, empty, {}, repeats=1, rows_in=3, left_out=1)
