"""A window is judged in this process as the job judges it: causes, consequences, labels, weeks."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lib.fraud.outcomes import FraudOutcomes
from lib.monitoring import ErrorBudget, ReferenceSketch, fit_bins
from lib.monitoring.assessment import Assessment, Material, assess
from lib.monitoring.causes import likely_causes
from lib.monitoring.consequence import consequence
from lib.monitoring.decision_window import DecisionWindow
from lib.monitoring.exposition import DECISIONS, PERFORMANCE, Sample, write_metrics
from lib.monitoring.incident import Incident, Kind
from lib.monitoring.label_tally import DELAY, LABEL, tally_labels
from lib.monitoring.measures import Money, RocAuc
from lib.monitoring.performance_history import week_bounds
from lib.monitoring.reference import ModelReference
from lib.monitoring.report import monitoring_report
from lib.monitoring.request_quality import DailyCounts, count_log_lines
from lib.monitoring.watched_system import WatchedSystem
from lib.monitoring.window import WindowSketch
from lib.records.decision_table import LABEL_SCHEMA
from lib.report import render_page
from tests.monitoring import decided
from tests.monitoring.decided import DAY, START

WATCHED = WatchedSystem(
    FraudOutcomes(label_days=2.0), (RocAuc(), Money()), ("merchant_id",), money_by_label=True
)
DAYS = 20


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return decided.days(decided.fraud(), 0, DAYS, "v1", seed=11)


def remembered(days: int) -> ModelReference:
    pool = decided.fraud()
    rows = decided.days(pool, -days, 0, "v1", seed=1)
    measures = [(name, f"feature_{name}") for name in pool.names]
    sketch = ReferenceSketch(fit_bins(rows, [*measures, ("score", "score")]))
    sketch.add(rows)
    return sketch.finish("fraud", "user_id", volume_is_served=True)


@pytest.fixture(scope="module")
def reference() -> ModelReference:
    return remembered(decided.REFERENCE_DAYS)


def labels_of(table: pa.Table, late_us: int = DAY) -> pa.Table:
    """Payments of high score are frauds, three in four of them."""
    rows = table.filter(pa.array(table["score"].to_numpy() > 0.02))
    times = np.asarray(rows["event_time"].cast(pa.int64())) + late_us
    known = pa.array(times, pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "subject_id": rows["subject_id"],
            "kind": ["fraud"] * rows.num_rows,
            "value": [number % 4 > 0 for number in range(rows.num_rows)],
            "observed_at": known,
            "received_at": known,
            "source": ["chargeback"] * rows.num_rows,
        }
    ).cast(LABEL_SCHEMA)


def counted(reference: ModelReference, table: pa.Table, most_rows: int = 10_000) -> DecisionWindow:
    window = DecisionWindow({"v1": reference.bins}, "v1", most_rows)
    window.add(table)
    return window


def assessed(
    reference: ModelReference,
    table: pa.Table,
    labels: pa.Table,
    requests: DailyCounts | None = None,
    most_rows: int = 10_000,
) -> Assessment:
    material = Material(
        window=counted(reference, table, most_rows),
        references={"v1": reference},
        earlier={},
        labels=labels,
        requests=requests or DailyCounts(),
        since=START,
        until=START + DAYS * DAY,
        as_of=START + DAYS * DAY,
    )
    return assess(material, WATCHED, ErrorBudget())


@pytest.mark.parametrize("most_rows", [100_000, 700])
def test_blocks_in_any_order_are_counted_as_in_one_pass(
    reference: ModelReference, table: pa.Table, most_rows: int
) -> None:
    at_once = counted(reference, table, most_rows)
    generator = np.random.default_rng(5)
    cuts = [0, *sorted(generator.integers(1, table.num_rows, 12).tolist()), table.num_rows]
    parts = [table.slice(a, b - a) for a, b in pairwise(cuts)]
    total = DecisionWindow({"v1": reference.bins}, "v1", most_rows)
    for position in generator.permutation(len(parts)).tolist():
        total.merge(counted(reference, parts[position], most_rows))
    windows = [[w.to_json() for w in own.by_model["v1"].windows()] for own in (at_once, total)]
    assert windows[0] == windows[1]
    samples = [own.sample.table() for own in (at_once, total)]
    names = [sorted(sample["subject_id"].to_pylist()) for sample in samples if sample is not None]
    assert names[0] == names[1]
    assert at_once.sample.share == total.sample.share


def test_decisions_of_no_model_are_counted_with_the_usual(
    reference: ModelReference, table: pa.Table
) -> None:
    versions = pa.array([None, "v2"] + ["v1"] * (table.num_rows - 2), pa.string())
    index = table.schema.get_field_index("model_version")
    window = counted(reference, table.set_column(index, "model_version", versions))
    assert window.rows == {"v1": table.num_rows - 1, "v2": 1}
    assert window.without_model == 1
    assert not window.shares_days("v1")
    assert window.shares_days("v2")


def test_a_quiet_window_has_no_incident_and_figures_by_week(
    reference: ModelReference, table: pa.Table
) -> None:
    assessment = assessed(reference, table, labels_of(table))
    assert assessment.incidents == []
    assert assessment.notes == ()
    periods = assessment.performance.periods
    assert [(p.since - START) // DAY for p in periods] == [0, 13]
    assert periods[0].ripe == 1.0
    assert 0.8 < periods[0].realised[0].value <= 1.0
    assert periods[0].realised[1].value < 0
    assert periods[1].ripe < 1.0
    assert "there are no labels" in assessed(reference, table, LABEL_SCHEMA.empty_table()).notes[0]


def test_measures_with_too_few_rows_to_compare_are_noted(
    reference: ModelReference, table: pa.Table
) -> None:
    (note,) = assessed(remembered(4), table, labels_of(table)).notes
    measures = len(reference.bins.measures)
    assert note.startswith("model v1: amount, ")
    assert f" and {measures - 4} more cannot be compared: the model remembers less than" in note
    (note,) = assessed(reference, table.slice(0, 150), labels_of(table)).notes
    assert f" and {measures - 3} more cannot be compared: the window has less than 200" in note


def test_a_sample_of_entities_gives_the_same_incidents(
    reference: ModelReference, table: pa.Table
) -> None:
    changed = decided.planted(table, decided.fraud(), 14)
    every = assessed(reference, changed, labels_of(table))
    sampled = assessed(reference, changed, labels_of(table), most_rows=1_500)
    assert sampled.share < 1.0
    assert [own.incident for own in sampled.incidents] == [own.incident for own in every.incidents]
    effects = [own.incidents[0].consequence for own in (every, sampled)]
    assert effects[0] is not None
    assert effects[1] is not None
    assert effects[1].rows == pytest.approx(effects[0].rows, rel=0.3)


def incident(measure: str, kind: Kind, since_day: int, name: str = "") -> Incident:
    since = START + since_day * DAY
    return Incident(
        system="fraud", measure=measure, kind=kind, since=since, opened_at=since + DAY,
        seen_at=since + DAY, name=name, effect=1.0, evidence=9.0, windows=1,
    )  # fmt: skip


def test_the_segment_that_holds_a_change_is_named(
    reference: ModelReference, table: pa.Table
) -> None:
    merchants = [json.loads(text)["merchant_id"] for text in table["request"].to_pylist()]
    busiest = max(set(merchants), key=merchants.count)
    late = np.asarray(table["event_time"].cast(pa.int64())) >= START + 15 * DAY
    of_busiest = np.array([merchant == busiest for merchant in merchants])
    declined = pa.array(np.where(of_busiest & late, "DECLINE", table["decision"]))
    changed = table.set_column(table.schema.get_field_index("decision"), "decision", declined)
    moved = incident("decision", Kind.SHARE_MOVED, 15, "DECLINE")
    (cause,) = likely_causes(moved, reference, changed, {"merchant_id": merchants})
    assert (cause.segment, cause.value) == ("merchant_id", busiest)
    assert cause.share > 0.8
    assert cause.before < 0.1
    assert cause.after == 1.0
    assert cause.sentence.startswith(f"merchant_id {busiest} holds ")


def test_a_change_that_is_spread_alike_has_no_cause(
    reference: ModelReference, table: pa.Table
) -> None:
    changed = decided.planted(table, decided.fraud(), 15)
    merchants = [json.loads(text)["merchant_id"] for text in table["request"].to_pylist()]
    moved = incident("amount", Kind.UNIT_CHANGED, 15)
    assert likely_causes(moved, reference, changed, {"merchant_id": merchants}) == []
    earliest = incident("amount", Kind.UNIT_CHANGED, 0)
    assert likely_causes(earliest, reference, changed, {"merchant_id": merchants}) == []


def test_more_rows_are_traced_by_rows_a_day(reference: ModelReference, table: pa.Table) -> None:
    late = table.filter(
        pa.array(np.asarray(table["event_time"].cast(pa.int64())) >= START + 15 * DAY)
    )
    merchants = [json.loads(text)["merchant_id"] for text in table["request"].to_pylist()]
    segments = {"merchant_id": [*merchants, *["m-flood"] * late.num_rows]}
    flooded = pa.concat_tables([table, late])
    moved = incident("rows", Kind.MORE_ROWS, 15)
    (cause,) = likely_causes(moved, reference, flooded, segments)
    assert cause.value == "m-flood"


def test_money_since_a_change_has_limits_over_entities(table: pa.Table) -> None:
    outcomes = WATCHED.outcomes.outcomes(table, labels_of(table), START + 40 * DAY)
    since = START + 10 * DAY
    late = np.asarray(outcomes["event_time"].cast(pa.int64())) >= since
    money = outcomes["money"].to_numpy() - np.where(late, 30.0, 0.0)
    index = outcomes.schema.get_field_index("money")
    outcomes = outcomes.set_column(index, outcomes.schema.field(index), pa.array(money))
    effect = consequence(outcomes, since, START + DAYS * DAY, WATCHED.outcomes.acting, share=0.5)
    assert effect is not None
    assert effect.money is not None
    assert effect.rows == 2 * int(late.sum())
    assert effect.money.low < -30.0 * effect.rows < effect.money.high
    assert effect.money.low < effect.money.value < effect.money.high
    assert "less than as many before" in effect.sentence
    assert consequence(outcomes, START + 99 * DAY, START + 100 * DAY, ()) is None


def test_money_that_is_not_final_is_not_known(table: pa.Table) -> None:
    outcomes = WATCHED.outcomes.outcomes(table, labels_of(table), START)
    effect = consequence(outcomes, START + DAY, START + 9 * DAY, ("REVIEW",))
    assert effect is not None
    assert effect.money is None
    assert "not known yet, 0% of outcomes are final" in effect.sentence


def test_labels_are_counted_on_days_that_are_final(
    reference: ModelReference, table: pa.Table
) -> None:
    outcomes = WATCHED.outcomes.outcomes(table, labels_of(table), START + DAYS * DAY)
    windows = counted(reference, table).by_model["v1"].windows()
    tally_labels(windows, outcomes, "v1")
    with_labels = [window for window in windows if LABEL in window.tallies]
    assert len(with_labels) == DAYS - 2
    tally = with_labels[0].tallies[LABEL]
    assert tally.total == with_labels[0].rows
    assert 0 < tally.counts["positive"] < tally.total
    assert set(with_labels[0].tallies[DELAY].counts) == {"within 1 d"}


def test_the_page_says_it_all_and_holds_no_entity(
    reference: ModelReference, table: pa.Table
) -> None:
    changed = decided.planted(table, decided.fraud(), 14)
    lines = [
        json.dumps(
            {
                "event": "request", "app": "fraud", "time": (START + day * DAY) / 1e6 + 5,
                "route": "score", "status": 422 if day % 5 == 0 else 200,
                "refused_fields": ["amount"] if day % 5 == 0 else [],
            }
        )
        for day in range(DAYS)
        for _ in range(30)
    ]  # fmt: skip
    requests = count_log_lines(lines, "fraud")
    assessment = assessed(reference, changed, labels_of(table), requests)
    report = monitoring_report(assessment, requests)
    assert report.title == "Monitoring of fraud: 1 open incident"
    assert [section.title for section in report.sections][:3] == [
        "Now", "Incidents", "What changed when",
    ]  # fmt: skip
    page = render_page(report)
    (own,) = assessment.incidents
    assert own.incident.sentence in page
    assert own.incident.sentence.startswith("amount: unit changed")
    assert "2026-11-15" in own.incident.sentence
    people = set(table["entity_id"].to_pylist())
    assert not any(f">{person}<" in page or f" {person} " in page for person in people)
    assert report.facts["requests"][0]["kind"] == "refused"
    plain = monitoring_report(assessment, requests, pictures=False)
    assert json.dumps(plain.facts, default=str) == json.dumps(report.facts, default=str)
    assert "<svg" in page
    assert "<svg" not in render_page(plain)
    assert own.incident.sentence in render_page(plain)


def test_a_window_of_another_model_is_read_as_it_was_recorded(
    reference: ModelReference, table: pa.Table
) -> None:
    window = counted(reference, table).by_model["v1"].windows()[3]
    again = WindowSketch.from_json(reference.bins, json.loads(json.dumps(window.to_json())))
    assert again.to_json() == window.to_json()


def test_weeks_end_with_the_window() -> None:
    assert week_bounds(0, 3 * DAY) == [(0, 3 * DAY)]
    assert week_bounds(0, 14 * DAY) == [(0, 7 * DAY), (7 * DAY, 14 * DAY)]


def test_figures_are_written_whole_as_prometheus_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "new" / "fraud.prom"
    samples = [
        Sample(DECISIONS, 7.0, ("fraud", "used")),
        Sample(PERFORMANCE, float("nan"), ("fraud", "auc", "estimated")),
    ]
    write_metrics(path, samples)
    families = {family.name: family for family in text_string_to_metric_families(path.read_text())}
    (sample,) = families[DECISIONS.name].samples
    assert (sample.labels, sample.value) == ({"system": "fraud", "rows": "used"}, 7.0)
    assert families[PERFORMANCE.name].samples == []
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(ValueError, match="label"):
        write_metrics(path, [Sample(DECISIONS, 1.0, ("fraud",))])
    assert families[DECISIONS.name].documentation in path.read_text()
