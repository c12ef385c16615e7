"""What the console's pages show, read without a browser."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter

import pytest

from lib.console.actor import actor_text
from lib.console.audit import KINDS, AuditFilter, audit_csv, merge_audits, read_audit
from lib.console.chart import draw
from lib.console.experiments import list_experiments, read_experiment
from lib.console.home import read_today
from lib.console.models import read_model, read_models
from lib.console.system_records import StepFilter, SystemRecords
from lib.experiment.errors import ExperimentError
from lib.registry import RegistryError
from tests.console.seeded import DECISIONS, EXPERIMENT, NOW, Seeded
from tests.records.conftest import NOVEMBER
from tests.records.review_factories import HOUR

KEY = "0123456789ab"


@pytest.mark.parametrize("system", DECISIONS)
def test_home_counts_today_beside_last_week_up_to_the_same_time(lived: Seeded, system: str) -> None:
    with lived.source(system) as source:
        today = read_today(source, NOW)
    expected = DECISIONS[system]
    assert {count.decision: count.today for count in today.decisions} == expected
    assert {count.decision: count.before for count in today.decisions} == {
        name: number - math.ceil(number / 4) for name, number in expected.items()
    }
    assert today.change == today.today / today.before - 1.0
    assert [count.today for count in today.decisions] == sorted(expected.values(), reverse=True)


def test_home_leaves_out_what_last_week_brought_later_that_day(lived: Seeded) -> None:
    with lived.source() as source:
        early = read_today(source, NOVEMBER - 1)
    assert (early.today, early.before, early.change) == (0, 0, None)


def test_home_shows_queue_incident_and_experiment(lived: Seeded) -> None:
    with lived.source() as source:
        today = read_today(source, NOW)
    assert today.queue.waiting == DECISIONS["fraud"]["REVIEW"] - 1
    assert 2 * HOUR < today.queue.oldest_age_us <= 3 * HOUR
    assert [incident.measure for incident in today.incidents] == ["merchant_category"]
    assert today.experiment is not None
    assert (today.experiment.name, today.experiment.share) == ("smaller-model", 0.5)


def test_home_shows_what_todays_contacts_are_expected_to_bring(lived: Seeded) -> None:
    with lived.source("churn") as source:
        today = read_today(source, NOW)
        later = read_today(source, NOW + 7 * 24 * HOUR)
        none_yet = read_today(source, NOW - 24 * HOUR)
    assert today.money is not None
    assert (today.money.today, today.money.before) == (21_500.0, None)
    assert (later.money, none_yet.money) == (None, None)
    with lived.source("fraud") as source:
        assert read_today(source, NOW).money is None


def test_models_are_listed_newest_first_with_their_aliases(lived: Seeded) -> None:
    with lived.source() as source:
        models = read_models(source)
    assert [model.version for model in models.versions] == list(reversed(lived.versions))
    assert [model.aliases for model in models.versions] == [("challenger",), ("champion",), ()]
    assert set(models.measures) == {"auc", "average_precision", "brier"}
    assert [change.after for change in models.changes] == [
        lived.versions[2], lived.versions[1], lived.versions[0],
    ]  # fmt: skip


def test_a_model_stands_beside_the_champion_with_what_speaks_for_it(lived: Seeded) -> None:
    with lived.source() as source:
        model = read_model(source, lived.versions[2])
        champion = read_model(source, "champion")
        with pytest.raises(RegistryError):
            read_model(source, "20200101T000000Z-00000000")
    auc = next(measure for measure in model.measures if measure.name == "auc")
    assert (auc.value, auc.champion) == (pytest.approx(0.93), pytest.approx(0.92))
    assert [stored.id for stored in model.experiments] == [EXPERIMENT]
    assert model.returns_to == {}
    assert champion.returns_to == {"champion": lived.versions[0]}


def test_a_damaged_model_is_shown_as_damaged(own: Seeded) -> None:
    manifest = own.registry / "fraud" / "versions" / own.versions[0] / "manifest.json"
    manifest.write_text(manifest.read_text().replace("0.91", "0.99"))
    with own.source() as source:
        models = read_models(source)
    assert models.versions[2].manifest is None
    assert "edited" in models.versions[2].fault


def test_an_experiment_shows_its_arms_and_that_they_are_even(lived: Seeded) -> None:
    with lived.source() as source:
        page = read_experiment(source, EXPERIMENT)
        (summary,) = list_experiments(source)
        with pytest.raises(ExperimentError):
            read_experiment(source, "fraud/other")
    assert {arm.arm: arm.entities for arm in page.arms} == {"champion": 46, "challenger": 44}
    assert sum(arm.decisions for arm in page.arms) == page.rows == 399
    assert page.ratio is not None
    assert page.ratio.is_even
    assert page.faults == (("timeout", 7),)
    assert sum(arm.faults for arm in page.arms) == 7
    assert page.challenger_ms == pytest.approx(4.5)
    assert page.sentence == summary.sentence
    assert page.sentence.startswith("the challenger keeps 540 USD")


def test_an_experiment_draws_money_against_its_bound(lived: Seeded) -> None:
    with lived.source() as source:
        page = read_experiment(source, EXPERIMENT)
    assert page.money is not None
    assert page.evidence is not None
    assert [len(line.dots) for line in page.evidence.lines] == [3, 3, 3]
    assert page.money.band.endswith("Z")


def test_the_audit_merges_what_people_did_in_all_systems(lived: Seeded) -> None:
    parts = []
    for system in DECISIONS:
        with lived.source(system) as source:
            parts.append(read_audit(source, AuditFilter(), 200))
    part = merge_audits(parts, 0, 200)
    times = [row.at for row in part.rows]
    assert times == sorted(times, reverse=True)
    assert {row.kind for row in part.rows} == set(KINDS) - {"schedule"}
    first, second = merge_audits(parts, 0, 10), merge_audits(parts, 10, 10)
    assert [*first.rows, *second.rows] == list(part.rows[:20])
    assert first.has_more
    assert not part.has_more


@pytest.mark.parametrize(
    ("audit_filter", "actions"),
    [
        (AuditFilter("model"), {"set"}),
        (AuditFilter("experiment", StepFilter(action="started")), {"started"}),
        (AuditFilter("review", StepFilter(person="ann")), {"claimed", "decided"}),
        (AuditFilter(steps=StepFilter(person="nobody")), set()),
        (AuditFilter(steps=StepFilter(until=NOVEMBER - 30 * 24 * HOUR)), set()),
    ],
)
def test_the_audit_is_filtered(lived: Seeded, audit_filter: AuditFilter, actions: set[str]) -> None:
    with lived.source() as source:
        rows = read_audit(source, audit_filter, 200).rows
    assert {row.action for row in rows} == actions


def test_a_person_is_found_under_any_key(own: Seeded) -> None:
    with own.source() as source:
        by = actor_text("eve_%", KEY)
        source.records.end(EXPERIMENT, by=by, reason="enough", at=NOW)
        source.registry.rollback("fraud", "champion", at=NOW, by=by)
        rows = read_audit(source, AuditFilter(steps=StepFilter(person="eve_%")), 10).rows
        others = read_audit(source, AuditFilter(steps=StepFilter(person="eveXY")), 10).rows
    assert {(row.action, row.person, row.key_id) for row in rows} == {
        ("ended", "eve_%", KEY), ("rollback", "eve_%", KEY),
    }  # fmt: skip
    assert others == ()


def test_the_export_has_no_cell_that_a_spreadsheet_computes(own: Seeded) -> None:
    with own.source() as source:
        source.records.end(EXPERIMENT, by="=cmd()", reason='+1 "quoted", and\na line', at=NOW)
        rows = read_audit(source, AuditFilter("experiment"), 1).rows
    _, row = csv.reader(io.StringIO(audit_csv(rows)))
    assert row[3] == "'=cmd()"
    assert row[7] == '\'+1 "quoted", and\na line'


def test_curves_lie_within_their_plane() -> None:
    chart = draw("a", [1.0, 2.0], {"b": [-5.0, 12_345.0]}, "days", ([-9.0, 1.0], [1.0, 13_000.0]))
    assert chart is not None
    for line in chart.lines:
        assert all(chart.left <= x <= chart.right for x, _ in line.dots)
        assert all(chart.top <= y <= chart.bottom for _, y in line.dots)
    assert chart.zero is not None
    assert [tick.text for tick in chart.y_ticks] == ["-5,000", "0", "5,000", "10,000", "15,000"]


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf]])
def test_nothing_is_drawn_without_finite_values(values: list[float]) -> None:
    assert draw("a", [1.0] * len(values), {"b": values}, "days") is None


def test_no_part_of_the_records_hides_a_method_of_another() -> None:
    methods = Counter(
        name
        for part in SystemRecords.__mro__[1:-1]
        for name in vars(part)
        if not name.startswith("__")
    )
    assert [name for name, count in methods.items() if count > 1] == []
