"""Figures that one system alone has: failures beside those foreseen, precision from reviews."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lib.maintenance.monitoring import FailureFigures
from lib.maintenance.outcomes import MachineOutcomes
from lib.moderation.monitoring import ReviewEvidence, ReviewFigures
from lib.monitoring.system_figures import DecidedWindow, FigureTable
from lib.records.decision_table import DECISION_SCHEMA, LABEL_SCHEMA
from lib.records.review import OpinionPair, QueueReason
from tests.monitoring.decided import DAY, START

HOUR = DAY // 24
GRID = [0.0, 6.0, 24.0, 72.0, 168.0, 400.0]
POLICIES = ("spam", "hate")


def decisions(rows: list[dict[str, Any]]) -> pa.Table:
    """Decisions with the columns that these figures read; the others are empty."""
    usual = {"received_at": START, "decided_at": START, "method": "model", "decision": "MONITOR"}
    return pa.Table.from_pylist([usual | row for row in rows], DECISION_SCHEMA)


def labels(rows: list[tuple[str, str, bool, int]]) -> pa.Table:
    columns = ("subject_id", "kind", "value", "observed_at")
    dated = [
        dict(zip(columns, row, strict=True)) | {"received_at": row[3], "source": "test"}
        for row in rows
    ]
    return pa.Table.from_pylist(dated, LABEL_SCHEMA)


def fleet(foreseen: float = 1.0, *, with_curve: bool = True) -> DecidedWindow:
    """Machines with constant hazards, predicted each day for four weeks until they fail."""
    generator = np.random.default_rng(4)
    rate = generator.uniform(0.0005, 0.004, 150)
    ended = START + (generator.exponential(1.0 / rate) * HOUR).astype(np.int64)
    rows = []
    for machine, (hazard, end) in enumerate(zip(rate, ended, strict=True)):
        for day in range(28):
            at = START + day * DAY
            if at >= end:
                break
            survival = np.exp(-hazard * foreseen * np.array(GRID))
            points = [{"hours": h, "survival": s} for h, s in zip(GRID, survival, strict=True)]
            within = {"24h": 1.0 - survival[2], "72h": 1.0 - survival[3], "7d": 1.0 - survival[4]}
            answer = {"survival": points if with_curve else None, "failure_within": within}
            rows.append(
                {
                    "subject_id": f"{machine}:{day}", "entity_id": f"m{machine}", "event_time": at,
                    "decision": "SERVICE" if hazard > 0.0035 else "MONITOR",
                    "score": within["7d"], "answer": json.dumps(answer),
                }
            )  # fmt: skip
    failures = [
        (f"m{machine}", "failure", True, int(end))
        for machine, end in enumerate(ended)
        if end < START + 35 * DAY
    ]
    return DecidedWindow(
        decisions(rows), labels(failures), START, START + 28 * DAY, START + 35 * DAY
    )


def services(*rows: tuple[str, int]) -> pa.Table:
    names = [machine for machine, _ in rows]
    times = pa.array([time for _, time in rows], pa.timestamp("us", "UTC"))
    return pa.table({"machine_id": pa.array(names, pa.string()), "event_time": times})


def failure_tables(window: DecidedWindow, *served: tuple[str, int]) -> list[FigureTable]:
    return FailureFigures(MachineOutcomes(), lambda: services(*served))(window)


def by_name(tables: list[FigureTable]) -> dict[str, Any]:
    return {figure.name: figure for table in tables for figure in table.figures}


@pytest.mark.parametrize("with_curve", [True, False])
def test_failures_beside_true_curves_agree_and_beside_halved_ones_do_not(with_curve: bool) -> None:
    tables = failure_tables(fleet(with_curve=with_curve))
    assert [row[0] for row in tables[0].rows] == ["24h", "72h", "7d"]
    assert {row[-1] for row in tables[0].rows} == {"yes"}
    assert "failures within 30d: no prediction has a curve so long" in tables[0].notes
    halved = failure_tables(fleet(0.5, with_curve=with_curve))
    assert {row[-1] for row in halved[0].rows} == {"no"}
    week = by_name(halved)["failures_over_expected_7d"]
    assert week.low < 2.0 < week.high
    # one prediction of a machine a week, so that a failure counts once
    assert by_name(tables)["failures_over_expected_7d"].positives < 150


def test_alarms_and_curves_of_machines_are_judged() -> None:
    figures = by_name(failure_tables(fleet()))
    alarms = figures["false_alarms_per_machine_month"]
    assert 0.0 < alarms.low < alarms.value < alarms.high
    assert 0.5 < figures["c_td"].value < 1.0
    assert 0.0 < figures["ibs"].value < 0.25


def test_a_serviced_machine_counts_until_its_service() -> None:
    window = fleet()
    served = [(f"m{machine}", START + HOUR) for machine in range(150)]
    is_first = np.asarray(window.decisions["event_time"].cast(pa.int64())) == START
    first = window.decisions.filter(pa.array(is_first))
    window = DecidedWindow(first, window.labels, window.since, window.until, window.as_of)
    (row, *_), _ = (table.rows for table in failure_tables(window, *served))
    assert row[:3] == ("24h", 150, int(row[2]))
    assert float(row[3]) < 1.0


def test_what_cannot_be_known_of_machines_yet_is_a_note() -> None:
    window = fleet()
    early = DecidedWindow(
        window.decisions, labels([]), window.since, window.until, window.since + HOUR
    )
    tables = failure_tables(early)
    assert [table.rows for table in tables] == [(), ()]
    assert "failures within 24h: not known before 2026-11-02 00:00 UTC" in tables[0].notes
    assert "false alarms: watched_hours: expected above 0, got 0.0" in tables[1].notes
    assert "C-td and IBS: no prediction is 168 hours old yet" in tables[1].notes
    rows = [row | {"answer": None} for row in window.decisions.to_pylist()]
    bare = DecidedWindow(decisions(rows), window.labels, window.since, window.until, window.as_of)
    assert "failures within 24h: no prediction has a curve so long" in failure_tables(bare)[0].notes


def posts(count: int = 20_000) -> tuple[DecidedWindow, list[QueueReason], dict[str, float]]:
    """Posts of which high scores go to people and one in twenty is drawn, nine in ten decided."""
    generator = np.random.default_rng(8)
    score = generator.beta(1.0, 12.0, count)
    violates = generator.random(count) < np.minimum(score * 1.3, 1.0)
    flagged = score > 0.3
    drawn = generator.random(count) < 0.05
    decided = generator.random(count) < 0.9
    rows, verdicts, reasons = [], [], []
    for post in range(count):
        name = f"p{post}"
        action = "REVIEW" if flagged[post] else "ALLOW"
        policies = {"spam": {"probability": score[post], "action": action},
                    "hate": {"probability": 0.0, "action": "ALLOW"}}  # fmt: skip
        rows.append(
            {
                "subject_id": name, "entity_id": f"a{post % 3_000}", "event_time": START + post,
                "decision": action, "score": score[post],
                "answer": json.dumps({"policies": policies}),
            }
        )  # fmt: skip
        if flagged[post]:
            reasons.append(QueueReason(name, ("spam",), None, None))
        elif drawn[post]:
            reasons.append(QueueReason(name, POLICIES, "random", 0.05))
        elif score[post] > 0.25:
            reasons.append(QueueReason(name, POLICIES, "badge", None))
        else:
            continue
        if decided[post]:
            verdicts.append((name, "spam", bool(violates[post]), START + DAY))
    truth = {
        "precision": float(violates[flagged].mean()),
        "recall": float(flagged[violates].mean()),
    }
    window = DecidedWindow(decisions(rows), labels(verdicts), START, START + DAY, START + 2 * DAY)
    return window, reasons, truth


def review_tables(
    window: DecidedWindow, reasons: list[QueueReason] | None, pairs: Any = ()
) -> list[FigureTable]:
    return ReviewFigures(POLICIES, lambda _since, _until: ReviewEvidence(reasons, pairs))(window)


def test_precision_and_recall_are_those_of_all_posts() -> None:
    window, reasons, truth = posts()
    tables = review_tables(window, reasons)
    figures = by_name(tables)
    for name, value in truth.items():
        own = figures[f"{name} spam"]
        assert own.low <= value <= own.high
        assert own.ripeness == pytest.approx(0.9, abs=0.03)
    assert [row[0] for row in tables[0].rows] == ["spam"]
    assert "policy hate: no reviewed post speaks for others" in tables[0].notes
    # without the draw, only what was sent to people is known, and it looks as if all were found
    sent = [reason for reason in reasons if reason.selected is None]
    assert by_name(review_tables(window, sent))["recall spam"].value == 1.0
    assert "no post was drawn at random" in review_tables(window, sent)[0].notes[0]


@pytest.mark.parametrize("reasons", [None, [QueueReason("of another time", POLICIES, None, None)]])
def test_without_their_queue_posts_sent_to_people_are_measured(
    reasons: list[QueueReason] | None,
) -> None:
    window, _, truth = posts(6_000)
    quality, agreement, terms = review_tables(window, reasons)
    own = by_name([quality])["precision spam"]
    assert own.low <= truth["precision"] <= own.high
    assert "--records" in quality.notes[0]
    assert agreement.notes[0].startswith("no post was decided by two reviewers")
    assert terms.notes[0].startswith("fewer than two identity terms are named")


def test_agreement_is_that_of_posts_drawn_for_a_second_opinion() -> None:
    window, reasons, _ = posts(2_000)
    same = [OpinionPair(f"p{n}", "sample", {"spam": n % 2 > 0}, {"spam": n % 2 > 0 or n < 10})
            for n in range(100)]  # fmt: skip
    severe = [OpinionPair("q", "severity", {"spam": True}, {"spam": False})]
    _, agreement, _ = review_tables(window, reasons, [*same, *severe])
    (row,) = agreement.rows
    assert row[:3] == ("spam", 100, "95.0%")
    assert by_name([agreement])["agreement spam"].value == pytest.approx(0.9, abs=0.02)


def test_posts_are_compared_by_the_identity_terms_of_their_texts() -> None:
    rows = []
    for number in range(120):
        is_first = number < 60
        answer = {"policies": {"hate": {"action": "REMOVE" if number < 30 else "ALLOW"}}}
        request = {"text": "my gay friend" if is_first else "these women sing", "media": {}}
        rows.append(
            {
                "subject_id": f"p{number}",
                "entity_id": f"a{number}",
                "event_time": START,
                "decision": "REMOVE" if number < 30 else "ALLOW",
                "request": json.dumps(request),
                "answer": json.dumps(answer),
            }
        )
    window = DecidedWindow(decisions(rows), labels([]), START, START + DAY, START + DAY)
    _, _, terms = review_tables(window, None)
    named = [row[1:3] for row in terms.rows if row[0] == "hate"]
    assert named == [("gay", 60), ("woman", 60), ("largest difference", 120)]
    assert by_name([terms])["identity gap hate"].value == 0.5
