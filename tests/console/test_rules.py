"""What the pages of rules show: hits, outcomes, differences, backtests."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from lib.console.rule_backtest import backtest_rules
from lib.console.rule_versions import compare_versions, diff_lines, read_draft, read_versions
from lib.console.rules import DAYS, read_rules, rules_csv
from lib.console.source import SystemSource
from lib.records import Records
from lib.records.models import Fact
from lib.rules import RuleError
from lib.rules.repository import UnknownRulesError
from tests.console.seeded import NOW, Seeded
from tests.console.seeded_rules import BURST, TRAVEL, declare, payment
from tests.records.conftest import NOVEMBER, SECOND, fact, keep_decisions
from tests.records.review_factories import HOUR

DAY = 24 * HOUR


@pytest.fixture
def source(tmp_path: Path) -> SystemSource:
    """Fraud, with the rules of its file and nothing decided."""
    url = f"sqlite:///{tmp_path}/fraud.sqlite"
    declare(url)
    return SystemSource.open("fraud", url, str(tmp_path / "registry"))


def keep(source: SystemSource, count: int, labels: dict[int, bool], days_ago: int = 9) -> None:
    """Payments of a day, and what became known of some."""
    rows = [
        payment(f"p{number}", NOVEMBER - days_ago * DAY + number * SECOND, number)
        for number in range(count)
    ]
    facts: list[Fact] = [
        fact(f"p{number}", value=value, observed_at=NOVEMBER - 8 * DAY, received_at=NOVEMBER)
        for number, value in labels.items()
    ]
    with Records(source_url(source)) as records:
        keep_decisions(records, rows)
        records.record_labels(facts)


def source_url(source: SystemSource) -> str:
    return str(source.records._database._url.render_as_string(hide_password=False))


def test_rules_show_hits_by_day_and_what_came_of_them(lived: Seeded) -> None:
    with lived.source() as source:
        page = read_rules(source, NOW)
    assert (page.active, page.fault, page.counted.fault) == (2, "", "")
    travel, burst = page.row(TRAVEL), page.row(BURST)
    assert (travel.rule.status, burst.rule.status) == ("active", "shadow")
    assert (travel.use.hits, burst.use.hits) == (30, 20)
    assert [bar.hits for bar in travel.use.bars] == [0, 0, 6, 6, 6, 0, 0, 0, 0, 0, 6, 6, 0, 0]
    # of payments of the last week nothing is final
    assert (travel.use.positives, travel.use.negatives, travel.use.silent) == (9, 9, 9)
    assert travel.use.precision == 0.5
    assert travel.use.low < 0.3 < 0.7 < travel.use.high
    assert page.row("unknown") is None
    assert [change.after for change in page.changes] == [2]
    assert dict(page.counted.in_use)["2-0123456789ab"] == 60


def test_the_table_of_rules_has_a_column_for_each_day(lived: Seeded) -> None:
    with lived.source() as source:
        page = read_rules(source, NOW)
        none = rules_csv(read_rules(source, NOW - 400 * DAY))
    travel = next(
        row for row in csv.DictReader(io.StringIO(rules_csv(page))) if row["rule"] == TRAVEL
    )
    assert (travel["hits"], travel["hits 2026-11-12"], travel["precision"]) == ("30", "6", "0.5")
    assert travel["when"] == "impossible_velocity == 1"
    assert none.count("\n") == len(page.rules) + 1


def test_without_an_application_or_versions_pages_say_so(lived: Seeded) -> None:
    with lived.source("churn") as source:
        assert read_rules(source, NOW).declaration is None
        versions = read_versions(source)
        assert (versions.declaration, versions.entries, versions.changes) == (None, (), ())
        for read in (lambda: compare_versions(source, None, None),
                     lambda: read_draft(source, None, is_file=False),
                     lambda: backtest_rules(source, "version: 1", NOW)):  # fmt: skip
            with pytest.raises(UnknownRulesError, match="start it"):
                read()


def test_without_any_label_silence_says_nothing(source: SystemSource) -> None:
    keep(source, 20, {})
    page = read_rules(source, NOW)
    assert page.row(TRAVEL).use.hits == 10
    assert page.row(TRAVEL).use.precision is None
    assert "silence says nothing" in page.counted.fault


def test_a_withdrawn_label_counts_as_good(source: SystemSource) -> None:
    keep(source, 8, {0: True, 2: True, 4: False})
    use = read_rules(source, NOW).row(TRAVEL).use
    assert (use.positives, use.negatives, use.silent) == (2, 2, 1)


def test_hits_outside_of_the_window_are_not_counted(source: SystemSource) -> None:
    keep(source, 4, {0: True}, days_ago=DAYS + 1)
    page = read_rules(source, NOW)
    assert page.counted.decisions == 0
    assert all(row.use.hits == 0 for row in page.rules)


def test_a_backtest_counts_what_a_text_would_have_hit(source: SystemSource) -> None:
    keep(source, 60, dict.fromkeys(range(0, 60, 4), True))
    text = read_draft(source, None, is_file=False).text
    changed = (
        text.replace("txn_count_by_user_1h > 10", "txn_count_by_user_1h > 100")
        .replace("  - id: device_known_for_fraud", "  - id: of_one_user")
        .replace("fraud_rate_by_device_30d > 0.5", 'user_id == "u7" or currency == "USD"')
    )
    page = backtest_rules(source, changed, NOW)
    rows = {row.measures.rule_id: row for row in page.rows}
    assert (page.decisions, page.finals, page.fault, page.absent) == (60, 60, "", ())
    travel = rows[TRAVEL].measures
    assert (travel.hits, travel.frauds, travel.good_hurt, travel.precision) == (30, 15, 15, 0.5)
    assert (rows[BURST].measures.hits, rows[BURST].present.hits) == (0, 20)
    assert (rows["of_one_user"].measures.hits, rows["of_one_user"].present) == (1, None)
    assert page.dropped == ("device_known_for_fraud",)
    assert page.rows[-1].is_all
    assert page.rows[-1].measures.decides == 31


def test_a_backtest_agrees_with_what_the_service_recorded(source: SystemSource) -> None:
    keep(source, 60, {0: True})
    page = read_rules(source, NOW)
    rows = {row.measures.rule_id: row for row in backtest_rules(source, page.text, NOW).rows}
    for row in page.rules:
        # in the file the burst decides, too, where it was recorded in shadow
        assert rows[row.rule.id].measures.hits == row.use.hits


def test_a_bad_text_is_not_tried(source: SystemSource) -> None:
    with pytest.raises(RuleError, match="moon_phase"):
        backtest_rules(source, "version: 1\nrules:\n  - {id: a, when: moon_phase > 1}", NOW)


def test_versions_are_compared_and_drafts_begin_as_one(lived: Seeded) -> None:
    with lived.source() as source:
        comparison = compare_versions(source, None, 2)
        assert [line for line in comparison.lines if line.mark in "+-"] == [
            *diff_lines("version: 1", "version: 2")[1:],
            *[line for line in comparison.lines if line.text == "    status: shadow"],
        ]
        assert compare_versions(source, 2, 2).lines == ()
        draft, of_file = read_draft(source, None, is_file=False), read_draft(source, None, True)
        assert (draft.origin, draft.next_version, of_file.origin) == (2, 3, None)
        assert "status: shadow" in draft.text
        assert "status: shadow" not in of_file.text
        assert draft.text.splitlines()[3] == of_file.text.splitlines()[3] == "version: 3"


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_a_difference_names_every_line_that_goes_and_comes(
    before: list[str], after: list[str]
) -> None:
    lines = diff_lines("\n".join(before), "\n".join(after))
    removed = [line.text for line in lines if line.mark == "-"]
    added = [line.text for line in lines if line.mark == "+"]
    assert len(before) - len(removed) == len(after) - len(added)
    if before == after:
        assert lines == []


def test_reads_are_few_and_use_an_index(source: SystemSource) -> None:
    keep(source, 1_500, {0: True})
    statements: list[tuple[str, object]] = []
    engine = source.records._database._engine
    event.listen(
        engine, "before_cursor_execute",
        lambda _c, _cursor, text, values, _context, _many: statements.append((text, values)),
    )  # fmt: skip
    began = time.perf_counter()
    page = read_rules(source, NOW)
    assert time.perf_counter() - began < 30
    assert page.counted.decisions == 1_500
    assert len(statements) <= 20
    hits = next(each for each in statements if "shadow_hits" in each[0] and "LIMIT" in each[0])
    with source.records._database.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {hits[0]}", hits[1]).all()
    assert "decisions_by_event_time" in str(plan)
