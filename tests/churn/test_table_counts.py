"""Rows of customers who are in no table of customers are counted, told and shown."""

import json
from dataclasses import asdict

import pytest

from jobs.churn.features import closing_lines
from jobs.churn.table_counts import table_lines, table_warnings
from lib.churn.consistency import table_matches
from lib.churn.target import Target
from lib.contract import MatchCounts
from lib.contract.matches import match_figures
from lib.storage import open_storage
from tests.churn.tables import at, happened, table

WHEN = {"event_time": at(3, 1)}
STRANGER = {**WHEN, "customer_id": "c1.0"}


def test_every_table_counts_its_rows_of_unknown_customers() -> None:
    ticket = {"ticket_id": "t2", **STRANGER, "closed_at": at(3, 2)}
    line = {"invoice_id": "i1", "amount_minor": 100}
    stream = happened(
        usage=table("usage", WHEN, STRANGER, STRANGER),
        tickets=table("tickets", {"ticket_id": "t1", **WHEN}, ticket),
        invoices=table("invoices", {**line, **WHEN}, {**line, **STRANGER, "amount_minor": -5}),
        payments=table("payments", {"amount_minor": 1, **STRANGER}),
        surveys=table("surveys", {"score": 9, **STRANGER}),
        signals=table("signals", {"kind": "other", **STRANGER}),
        churn=table("churn", WHEN, STRANGER),
    )
    matches = table_matches(stream)
    assert {name: (match.rows, match.unmatched) for name, match in matches.items()} == {
        "usage": (3, 2),
        "tickets": (3, 2),  # opened and closed
        "invoices": (2, 1),
        "payments": (1, 1),
        "surveys": (1, 1),
        "signals": (1, 1),
        "churn": (2, 1),
    }
    assert (matches["usage"].example, matches["usage"].subject_example) == ("a9.9", "a9")


def test_tables_that_match_are_told_without_a_warning() -> None:
    matches = {name: match.to_json() for name, match in table_matches(happened()).items()}
    note = {"tables": {}, "matches": matches, "contradictions": {}}
    assert table_warnings(note) == []
    assert len(table_lines(note)) == 1


def test_a_large_share_of_strangers_is_a_warning_with_an_id_of_each_side() -> None:
    counts = {"rows": 10, "unmatched": 3, "example": "a9.9", "subject_example": "a9"}
    note = {"tables": {}, "matches": {"usage": counts}, "contradictions": {"odd": 2}}
    assert table_warnings(note) == [
        "warning: usage: 3 of 10 match no customer; e.g. usage have 'a9.9', customers 'a9': "
        "identifiers must be written alike on both sides"
    ]
    assert table_lines(note)[1:] == [
        "       3  of 10 rows of usage are of no customer",
        "       2  odd",
    ]
    figures = match_figures(MatchCounts.by_table(note["matches"]), "customer")
    assert figures == {"usage: rows of no customer": 3}


def test_a_small_share_is_told_without_a_warning() -> None:
    counts = {"rows": 10, "unmatched": 2, "example": "x", "subject_example": "c1"}
    assert table_warnings({"matches": {"usage": counts}}) == []


def test_no_address_of_a_person_is_told() -> None:
    stream = happened(usage=table("usage", {**WHEN, "customer_id": "Zoë.Li-7@mail.example"}))
    counts = table_matches(stream)["usage"]
    assert counts.example == "Aaa.Aa-9@aaaa.aaaaaaa"
    assert "mail" not in str(counts.warning("usage", "customer"))


def test_ids_that_are_written_alike_are_of_other_customers() -> None:
    counts = MatchCounts(10, 9, "a9", "a9")
    assert "written alike: check that both tables are of the same customers" in str(
        counts.warning("usage", "customer")
    )


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ("notice", "none of 7 customers is among the customers with notice"),
        ("no_usage", "none of 7 customers is among the customers who stop using the product"),
    ],
)
def test_data_in_which_nobody_leaves_says_first_what_training_needs(tmp_path, means, words) -> None:
    note = {
        "tables": {},
        "matches": {},
        "contradictions": {},
        "target": asdict(Target(means=means)),
        "rows": 9,
        "customers": 7,
        "leavers": 0,
        "moments": 3,
        "share_leaving": 0.0,
        "features": [],
        "untold": [],
    }
    (tmp_path / "features.json").write_text(json.dumps(note))
    storage = open_storage(str(tmp_path))
    first = closing_lines(storage).splitlines()[0]
    assert words in first
    assert "at least 5 are needed for training" in first
    (tmp_path / "features.json").write_text(json.dumps(note | {"leavers": 1}))
    assert "needed for training" not in closing_lines(storage)
