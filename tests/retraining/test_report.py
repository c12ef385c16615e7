"""The page of a retraining says the decision, both models' figures, and gains day by day."""

from __future__ import annotations

import json
from pathlib import Path

from lib.evaluation import Interval
from lib.registry import statement_in
from lib.report import Table, write_report
from lib.retraining.comparison import DAY_US, Comparison, ModelFigures, judge
from lib.retraining.margin import Margin
from lib.retraining.report import build_report

COMPARISON = Comparison(
    rows=5_355,
    entities=298,
    positives=49,
    start_us=20_000 * DAY_US,
    end_us=20_010 * DAY_US,
    measure="average precision",
    champion=ModelFigures("20260101T000000Z-00000000", 0.02, -3_100.0),
    challenger=ModelFigures("20260201T000000Z-11111111", 0.70, -1_200.0),
    measure_gain=Interval(0.68, 0.56, 0.79),
    money_gain=Interval(1_900.0, 1_049.0, 2_942.0),
    cumulative_gain=(100.0, 400.0, 2_714.0),
)


def test_the_page_is_written_and_its_facts_hold_the_decision(tmp_path: Path) -> None:
    verdict = judge(COMPARISON, Margin(amount=500.0), 0.01, 20)
    report = build_report("fraud", "fraud-1", COMPARISON, verdict, 3)
    page, facts = write_report(report, tmp_path)
    assert statement_in(facts.read_bytes()) == verdict.reason
    document = json.loads(facts.read_text())
    assert document["won"] is True
    assert document["challenger"]["money_per_week"] == -1_200.0
    text = page.read_text()
    assert "Retraining of fraud: published" in text
    assert "5,355 rows of 298 entities from 2024-10-04" in text
    assert "the challenger keeps 1,900 a week more than the champion" in text


def test_the_table_puts_the_challenger_below_the_champion() -> None:
    verdict = judge(COMPARISON, Margin(amount=5_000.0), 0.01, 20)
    report = build_report("fraud", "fraud-1", COMPARISON, verdict, 3)
    (table,) = [b for s in report.sections for b in s.blocks if isinstance(b, Table)]
    assert [row[0] for row in table.rows] == ["champion", "challenger"]
    assert report.title == "Retraining of fraud: not published"
