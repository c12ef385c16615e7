"""Business reports in the records, and on the page."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from lib.business.repository import StatementRepository
from lib.business.statement import BusinessError
from lib.console.business import read_business, read_statement_page
from lib.fraud.business import WORDING
from tests.console.seeded import Seeded
from tests.console.seeded_rules import statement
from tests.records.conftest import NOVEMBER


def test_periods_are_listed_by_date_and_shown_beside_the_one_before(lived: Seeded) -> None:
    with lived.source() as source:
        business = read_business(source)
        latest, first = business.entries
        assert latest.until > first.until
        page = read_statement_page(source, latest.id)
        alone = read_statement_page(source, first.id)
    assert page.title == "Fraud: 2026-04-01 to 2026-05-01"
    assert [section.title for section in page.sections] == [
        "In short", "The figures", "What was wrong", "What this rests on"
    ]  # fmt: skip
    assert page.sections[0].figures.figures[0].detail == "-248 against before"
    assert page.sections[1].tables[0].header[1:3] == ("before", "this period")
    assert len(page.chart.lines) == 2
    assert alone.sections[1].tables[0].header[1] == "this period"
    assert len(alone.chart.lines) == 1


def test_a_system_without_reports_and_an_unknown_one(lived: Seeded) -> None:
    with lived.source("churn") as source:
        assert read_business(source).entries == ()
        assert read_statement_page(source, "0" * 24) is None


def test_a_report_of_another_system_is_not_shown(lived: Seeded) -> None:
    with lived.source() as source:
        statement_id = read_business(source).entries[0].id
        assert source.records.find_statement("churn", statement_id) is None


def test_the_same_report_again_is_kept_once(url: str) -> None:
    with StatementRepository(url) as repository:
        repository.migrate()
        march, april = statement(3, 1.0, "a"), statement(4, 1.1, "a")
        ids = [
            repository.record_statement(april, WORDING, before, at)
            for before, at in ((march, NOVEMBER), (march, NOVEMBER + 1), (None, NOVEMBER + 2))
        ]
        assert ids[0] == ids[1] != ids[2]
        assert len(repository.list_statements("fraud", 9)) == 2
        assert len(repository.list_statements("fraud", 1)) == 1
        recorded = repository.find_statement("fraud", ids[0])
    assert (recorded.statement, recorded.before, recorded.wording) == (april, march, WORDING)
    assert recorded.entry.recorded_at == NOVEMBER


@pytest.mark.parametrize("damage", ["{}", '{"system": "churn"}'])
def test_a_damaged_report_says_so_in_words(own: Seeded, damage: str) -> None:
    with own.source() as source:
        statement_id = read_business(source).entries[0].id
        with source.records._database.writing() as connection:
            connection.execute(
                text("UPDATE business_statements SET statement = :damage"), {"damage": damage}
            )
        with pytest.raises(BusinessError, match=statement_id):
            source.records.find_statement("fraud", statement_id)
        assert statement_id in read_statement_page(source, statement_id).fault
