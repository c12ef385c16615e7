"""The page of a period: figures of hand-made decisions, comparisons, refusals, two sheets of A4."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.churn.business import ChurnBusinessConfig
from jobs.churn.business import main as churn_page
from jobs.framework.business import BusinessOptions
from jobs.framework.decision_source import DecisionSourceError
from jobs.fraud.business import FraudBusinessConfig
from jobs.fraud.business import main as fraud_page
from jobs.maintenance.business import MaintenanceBusinessConfig
from jobs.maintenance.business import main as maintenance_page
from jobs.moderation.business import ModerationBusinessConfig
from jobs.moderation.business import main as moderation_page
from lib.business.repository import StatementRepository
from lib.business.statement import BusinessError
from lib.churn.intervention_repository import InterventionRepository, StoredPlan
from lib.contract import ContractError
from lib.maintenance.repository import WorkOrderRepository
from lib.records import Decision, Fact, Records
from lib.records.decision_table import decision_table, label_table
from lib.records.systems import SYSTEMS
from tests.business import decided
from tests.business.decided import DAY, HOUR, START
from tests.records.conftest import empty_records, fact, keep_decisions
from tests.records.customer_factories import intervention
from tests.records.order_factories import schedule, work_order

CHROMIUM = shutil.which("chromium")
WINDOW = {"since": "2026-01-05", "until": "2026-02-01", "as_of": "2026-07-14"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return empty_records(tmp_path)


def keep(url: str, rows: list[Decision], facts: list[Any] | None = None) -> None:
    with Records(url) as records:
        keep_decisions(records, rows)
        records.record_labels(facts or [])


def fraud(payment: str) -> Fact:
    """A chargeback of the next day."""
    return fact(payment, observed_at=START + DAY, received_at=START + DAY)


def figures(output: Path) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads((output / "business.json").read_text())
    return {measure["name"]: measure for measure in statement["measures"]}


def fraud_options(url: str, output: Path, **changes: Any) -> FraudBusinessConfig:
    options = {"records": url, "output": str(output), "repeats": 40, **WINDOW, **changes}
    config = FraudBusinessConfig(**options)
    config.check()
    return config


def ten_payments() -> list[Decision]:
    """Ten payments of 100.00: eight approved, one reviewed, one declined."""
    draw = random.Random(1)
    names = [*["APPROVE"] * 8, "REVIEW", "DECLINE"]
    return [
        decided.moved(
            row, START + number * DAY, decision=name, score=number / 10.0,
            entities={"user_id": f"user-of-{number}"}, latency_ms=10.0 * number,
            request={"amount_minor": 10_000, "payment_method": "wallet", "currency": "EUR"},
        )
        for number, (row, name) in enumerate(zip(decided.payments(draw, 10), names, strict=True))
    ]  # fmt: skip


def test_figures_of_ten_payments_are_those_of_a_calculator(url: str, tmp_path: Path) -> None:
    keep(url, ten_payments(), [fraud("f0"), fraud("f9")])
    fraud_page(fraud_options(url, tmp_path / "out", currency="EUR"))
    shown = figures(tmp_path / "out")
    # an approved fraud of 100.00 with a fee of 15.00 in 27 days
    assert shown["fraud_losses"]["value"] == pytest.approx(115.0 / 27)
    assert shown["fraud_loss_share"]["value"] == pytest.approx(0.5)
    # of eight good payments one was reviewed, of which a reviewer blocks 2%
    assert shown["good_blocked_share"]["value"] == pytest.approx(0.02 / 8)
    assert shown["prevalence"]["value"] == pytest.approx(0.2)
    assert shown["p99_ms"]["value"] == 90.0
    assert shown["reviews_per_day"]["value"] == pytest.approx(1 / 27)
    assert shown["precision_top_1000"]["value"] is None
    spent = 3.0 + 0.02 * 15.0 + 10 * 0.0001
    assert shown["return_on_cost"]["value"] == pytest.approx((230 - 115 - spent) / spent)
    page = (tmp_path / "out" / "business.html").read_text()
    assert "Amounts in EUR" in page
    assert "needs 1,000" in page
    assert "user-of-" not in page + (tmp_path / "out" / "business.json").read_text()
    assert "Of 10 payments with a final outcome 1 were frauds that were approved" in page
    assert "(REVIEW 1)" in page


def test_a_page_of_the_records_is_listed_there_and_one_of_files_is_not(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(url, ten_payments(), [fraud("f0"), fraud("f9")])
    first = tmp_path / "first"
    fraud_page(fraud_options(url, first, since="2026-01-05", until="2026-01-10"))
    before = str(first / "business.json")
    fraud_page(fraud_options(url, tmp_path / "out", since="2026-01-10", before=before))
    with StatementRepository(url) as repository:
        latest, earlier = repository.list_statements("fraud", 9)
        recorded = repository.find_statement("fraud", latest.id)
    assert f"console:    /console/business/fraud/{latest.id}" in capsys.readouterr().out
    assert latest.since == earlier.until
    assert recorded is not None
    assert recorded.before is not None
    written = json.loads((tmp_path / "out" / "business.json").read_text())
    assert recorded.statement.model_dump(mode="json") == written
    assert recorded.before.model_dump(mode="json") == json.loads(Path(before).read_text())
    table = tmp_path / "decisions.parquet"
    pq.write_table(decision_table(ten_payments(), "user_id"), table)
    fraud_page(fraud_options(url, tmp_path / "file", records=None, decisions=str(table)))
    assert "not listed (no --records)" in capsys.readouterr().out


def test_what_is_not_known_yet_says_from_when_it_is(url: str, tmp_path: Path) -> None:
    keep(url, ten_payments())
    fraud_page(fraud_options(url, tmp_path / "early", as_of="2026-01-07"))
    early = figures(tmp_path / "early")
    assert early["fraud_losses"]["value"] is None
    assert early["p99_ms"]["value"] == 90.0
    # the last payment of the ninth day after the first waits a week for labels
    assert early["fraud_losses"]["known_from"] == "2026-01-21T10:15:00Z"
    page = (tmp_path / "early" / "business.html").read_text()
    assert "not known yet" in page
    assert "known from 2026-01-21" in page
    assert "No label of any kind was received" in page


def test_without_any_label_silence_says_nothing(url: str, tmp_path: Path) -> None:
    keep(url, ten_payments())
    fraud_page(fraud_options(url, tmp_path / "silent"))
    silent = figures(tmp_path / "silent")
    assert silent["fraud_losses"]["value"] is None
    assert silent["reviews_per_day"]["value"] == pytest.approx(1 / 27)
    assert "No label of any kind was received" in (tmp_path / "silent/business.html").read_text()


def test_labels_of_one_class_leave_unsaid_what_they_cannot_say(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(url, ten_payments(), [fraud("of another time")])
    fraud_page(fraud_options(url, tmp_path / "good"))
    good = figures(tmp_path / "good")
    assert good["fraud_losses"]["value"] == 0.0
    assert good["fraud_loss_share"]["value"] is None
    assert good["fraud_loss_share"]["rests_on"].endswith("; none among them to measure it by")
    assert "none among them to measure it by" in capsys.readouterr().out
    keep(url, [], [fraud(f"f{number}") for number in range(10)])
    fraud_page(fraud_options(url, tmp_path / "bad"))
    assert figures(tmp_path / "bad")["good_blocked_share"]["value"] is None


def test_a_period_stands_beside_the_one_before_however_that_is_told(
    url: str, tmp_path: Path
) -> None:
    rows = ten_payments()
    earlier = [
        decided.moved(row, row.event_time - 40 * DAY, subject_id=f"before-{row.subject_id}")
        for row in rows
    ]
    keep(url, [*rows, *earlier], [fraud("f0"), fraud("before-f1"), fraud("before-f2")])
    dates = {"before_from": "2025-11-26", "before_to": "2026-01-02"}
    fraud_page(fraud_options(url, tmp_path / "a", **dates))
    alone = {"since": dates["before_from"], "until": dates["before_to"]}
    fraud_page(fraud_options(url, tmp_path / "before", **alone))
    former = str(tmp_path / "before" / "business.json")
    fraud_page(fraud_options(url, tmp_path / "b", before=former))
    pq.write_table(decision_table(earlier, "user_id"), tmp_path / "earlier.parquet")
    fraud_page(
        fraud_options(url, tmp_path / "c", before=str(tmp_path / "earlier.parquet"), **dates)
    )
    pages = [(tmp_path / name / "business.html").read_text() for name in "abc"]
    assert pages[0] == pages[1] == pages[2]
    assert "against before" in pages[0]
    assert "Before: 2025-11-26 to 2026-01-02" in pages[0]


def test_figures_of_a_time_without_the_product_may_be_written_by_hand(
    url: str, tmp_path: Path
) -> None:
    keep(url, ten_payments(), [fraud("f0"), fraud("f9")])
    measure = {
        "name": "good_blocked_share", "label": "Good payments blocked", "unit": "share",
        "better": "less", "value": 0.05, "low": 0.045, "high": 0.055,
    }  # fmt: skip
    written = {
        "system": "fraud", "since": "2025-01-01T00:00Z", "until": "2026-01-01T00:00Z",
        "as_of": "2026-02-01T00:00Z", "measures": [measure],
    }  # fmt: skip
    file = tmp_path / "before.json"
    file.write_text(json.dumps(written))
    fraud_page(fraud_options(url, tmp_path / "out", before=str(file)))
    page = (tmp_path / "out" / "business.html").read_text()
    assert "Better: Good payments blocked." in page
    refusals = {
        "unknown key 'losses'|losses: ": {**written, "losses": 3},
        "system: expected fraud, got 'churn'": {**written, "system": "churn"},
        "measures": {**written, "measures": []},
        "expected measures such as fraud_losses": {
            **written, "measures": [{**measure, "name": "other"}]
        },
        "currency: expected EUR, got USD": {**written, "currency": "USD"},
        "not after since": {**written, "until": "2024-01-01T00:00Z"},
    }  # fmt: skip
    for text, content in refusals.items():
        file.write_text(json.dumps(content))
        with pytest.raises(BusinessError, match=text):
            fraud_page(fraud_options(url, tmp_path / "no", before=str(file), currency="EUR"))
    file.write_text("{")
    with pytest.raises(BusinessError, match=r"before\.json: expected JSON"):
        fraud_page(fraud_options(url, tmp_path / "no", before=str(file)))
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_reported_is_refused_and_nothing_is_written(
    url: str, tmp_path: Path
) -> None:
    output = tmp_path / "no"
    with pytest.raises(DecisionSourceError, match="no decisions of fraud from"):
        fraud_page(fraud_options(url, output))
    with pytest.raises(ContractError, match="ends after it begins"):
        fraud_options(url, output, since="2026-02-01", until="2026-01-05")
    with pytest.raises(ContractError, match="expected --records or --decisions"):
        fraud_options(url, output, records=None)
    with pytest.raises(ContractError, match="--before-from, --before-to: expected both"):
        fraud_options(url, output, before_from="2025-11-26")
    with pytest.raises(ContractError, match="--before: expected a JSON file alone"):
        fraud_options(url, output, before="some.parquet")
    with pytest.raises(ContractError, match="--repeats: expected 20"):
        fraud_options(url, output, repeats=1)
    ahead = [replace(row, received_at=row.event_time - 3 * DAY) for row in ten_payments()]
    pq.write_table(decision_table(ahead, "user_id"), tmp_path / "ahead.parquet")
    with pytest.raises(DecisionSourceError, match="clocks disagree: 10 of 10 decisions"):
        fraud_page(fraud_options(url, output, decisions=str(tmp_path / "ahead.parquet")))
    keep(url, ten_payments())
    overlapping = {"before_from": "2025-12-20", "before_to": "2026-01-10"}
    with pytest.raises(BusinessError, match="expected a period that ends by 2026-01-05"):
        fraud_page(fraud_options(url, output, **overlapping))
    predicted = tmp_path / "predicted.parquet"
    pq.write_table(
        decision_table(decided.predictions(random.Random(2), 5), "machine_id"), predicted
    )
    with pytest.raises(ValueError, match=r"expected amount_minor|decision"):
        fraud_page(fraud_options(url, output, decisions=str(predicted)))
    with pytest.raises(ContractError, match="--as-of: expected a time after the period begins"):
        fraud_page(fraud_options(url, output, as_of="2025-12-14"))
    keep(url, [replace(ten_payments()[0], subject_id="odd", request={})])
    with pytest.raises(ValueError, match="request: odd: expected amount_minor"):
        fraud_page(fraud_options(url, output))
    assert not output.exists()


def test_decisions_and_labels_of_files_give_the_same_page(url: str, tmp_path: Path) -> None:
    rows, facts = ten_payments(), [fraud("f0"), fraud("f9")]
    keep(url, rows, facts)
    pq.write_table(decision_table(rows, "user_id"), tmp_path / "decisions.parquet")
    pq.write_table(label_table(facts), tmp_path / "labels.parquet")
    fraud_page(fraud_options(url, tmp_path / "a"))
    paths = {
        "decisions": str(tmp_path / "decisions.parquet"),
        "labels": str(tmp_path / "labels.parquet"),
    }
    fraud_page(fraud_options(url, tmp_path / "b", **{**paths, "records": None}))
    pages = [(tmp_path / name / "business.html").read_text() for name in "ab"]
    assert pages[0] == pages[1]


def machines() -> list[Decision]:
    """Two machines, predicted each day for twenty days; one is warned of its failure."""
    row = decided.predictions(random.Random(2), 1)[0]
    return [
        decided.moved(
            row, START + day * DAY, subject_id=f"{name}-{day}", entities={"machine_id": name},

            decision="SERVICE" if name == "a" and day == 5 else "MONITOR",
        )
        for name in "ab"
        for day in range(20)
    ]  # fmt: skip


def maintenance_options(url: str, output: Path, **changes: Any) -> MaintenanceBusinessConfig:
    options = {"records": url, "output": str(output), "repeats": 40, **WINDOW, **changes}
    config = MaintenanceBusinessConfig(**options)
    config.check()
    return config


def test_downtime_and_failures_of_machines_come_from_work_orders(url: str, tmp_path: Path) -> None:
    failed = START + 8 * DAY
    facts = [decided.event("maintenance", "failure", name, failed) for name in "ab"]
    keep(url, machines(), facts)
    with WorkOrderRepository(url) as orders:
        orders.insert_schedule(schedule("s"), [work_order("o", "s", machine_id="b")])
        outcome = {
            "result": "failed_before", "event_time": decided.text(failed + 10 * HOUR),
            "failed_at": decided.text(failed), "failure_mode": "seal", "downtime_hours": 10.0,
            "cost": 900.0,
        }  # fmt: skip
        orders.close_order("o", outcome, failed + DAY)
    maintenance_page(maintenance_options(url, tmp_path / "out"))
    shown = figures(tmp_path / "out")
    months = 2 * 27 * 24 / 730.5
    assert shown["unplanned_hours"]["value"] == pytest.approx(10.0 / months)
    assert "reported by 50%" in shown["unplanned_hours"]["rests_on"]
    assert shown["maintenance_cost"]["value"] == pytest.approx(900.0 / months)
    assert shown["utilisation"]["value"] == pytest.approx(1 - 10 / (2 * 27 * 24))
    assert shown["days_between_failures"]["value"] == pytest.approx(27.0)
    # seven rows of each machine are within a week of its failure; one row of one machine warned
    assert shown["failures_foreseen"]["value"] == pytest.approx(1 / 2)
    assert shown["service_cost"]["value"] == pytest.approx(1_500.0 / months)
    assert shown["decision_cost"]["value"] == pytest.approx((80_000.0 + 1_500.0) / months)
    assert shown["return_on_cost"]["value"] is None
    assert "--before" in shown["return_on_cost"]["rests_on"]


def test_a_plants_own_log_gives_failures_and_the_period_before_the_return(
    url: str, tmp_path: Path
) -> None:
    rows = machines()
    later = [
        decided.moved(row, row.event_time + 60 * DAY, subject_id=f"later-{row.subject_id}")
        for row in rows
    ]
    keep(url, [*rows, *later])
    times = pa.array([START + 8 * DAY] * 2).cast(pa.timestamp("us", "UTC"))
    log = pa.table({"machine_id": ["a", "b"], "event_time": times, "failure_mode": ["x", "x"]})
    pq.write_table(log, tmp_path / "failures.parquet")
    dates = {"before_from": WINDOW["since"], "before_to": WINDOW["until"]}
    options = maintenance_options(
        url, tmp_path / "out", since="2026-03-06", until="2026-04-02",
        failures=str(tmp_path / "failures.parquet"), **dates,
    )  # fmt: skip
    maintenance_page(options)
    shown = figures(tmp_path / "out")
    assert shown["return_on_cost"]["value"] == pytest.approx(80_000 / 1_500)
    assert shown["unplanned_hours"]["value"] == 0.0


def test_revenue_is_kept_against_those_who_were_left_alone(url: str, tmp_path: Path) -> None:
    base = decided.scores(random.Random(3), 1)[0]
    rows = [
        decided.moved(
            base, START, subject_id=f"s{number}", entities={"customer_id": f"c{number}"},
             decision="CONTACT", features={"mrr": 100.0},
        )
        for number in range(40)
    ]  # fmt: skip
    # half of them are left alone, and of those alone every second one leaves
    facts = [
        decided.event("churn", "notice", f"c{number}", START + DAY) for number in range(20, 40, 2)
    ]
    keep(url, rows, facts)
    chosen = [
        replace(
            intervention(number, customer_id=f"c{number}", held_out=number >= 20),
            propensity=0.5, chance=0.5, expected_fall=0.1, value=36.0, cost=60.0,
            planned_at=START,
        )
        for number in range(40)
    ]  # fmt: skip
    with InterventionRepository(url) as repository:
        plan = StoredPlan(id="p", planned_at=START, created_at=START, request={}, summary={})
        repository.insert_plan(plan, chosen)
    options = ChurnBusinessConfig(records=url, output=str(tmp_path / "out"), repeats=40, **WINDOW)
    options.check()
    churn_page(options)
    shown = figures(tmp_path / "out")
    # a customer is worth (36 + 60) / 0.1 of margin, 100 a month and 1,200 a year; ten of twenty
    # who were left alone gave notice, none of the twenty who were treated
    assert shown["revenue_kept"]["value"] == pytest.approx(20 * 0.5 * 1_200.0)
    assert shown["revenue_kept"]["low"] > 0
    assert shown["churn_rate"]["value"] == pytest.approx(0.25)
    yearly = 1 - 0.75 ** (365.25 / 60)
    assert shown["churn_rate_year"]["value"] == pytest.approx(yearly)
    assert shown["lifetime_value"]["value"] == pytest.approx(80.0 / 0.25 * 60 / 30.4375)
    assert shown["hours"]["value"] == pytest.approx(20 * 1.5 / (27 / 7))
    assert shown["leavers_foreseen"]["value"] == 1.0


def test_nobody_is_kept_by_a_guess(url: str, tmp_path: Path) -> None:
    keep(url, decided.scores(random.Random(4), 30, days=20))
    options = ChurnBusinessConfig(records=url, output=str(tmp_path / "out"), repeats=40, **WINDOW)
    churn_page(options)
    kept = figures(tmp_path / "out")["revenue_kept"]
    assert kept["value"] is None
    assert "0 treated and 0 held out" in kept["rests_on"]


def moderation_options(output: Path, **changes: Any) -> ModerationBusinessConfig:
    options = {"output": str(output), "repeats": 40, **WINDOW, **changes}
    config = ModerationBusinessConfig(**options)
    config.check()
    return config


def test_time_accuracy_and_workload_of_posts(tmp_path: Path) -> None:
    draw = random.Random(5)
    base = decided.posts(draw, 1)[0]
    names = [*["ALLOW"] * 6, "REMOVE", "REMOVE", "REVIEW", "REVIEW"]
    rows = [
        decided.moved(
            base, START, subject_id=f"p{number}",
            decision=name, latency_ms=50.0, answer={"policy": "hate"}, request={"text": "x"},
            entities={"author_id": f"author-of-{number}"},
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    reviews = {"p0": True, "p6": False, "p7": True, "p8": True}
    labels = pa.Table.from_pylist(
        [
            {"subject_id": name, "kind": "hate", "value": value, "observed_at": START + HOUR,
             "received_at": START + HOUR, "source": "single"}
            for name, value in reviews.items()
        ],
        label_table([]).schema,
    )  # fmt: skip
    pq.write_table(decision_table(rows, "author_id"), tmp_path / "decisions.parquet")
    pq.write_table(labels, tmp_path / "labels.parquet")
    files = {
        "decisions": str(tmp_path / "decisions.parquet"),
        "labels": str(tmp_path / "labels.parquet"),
    }
    moderation_page(moderation_options(tmp_path / "out", **files))
    shown = figures(tmp_path / "out")
    assert shown["median_seconds"]["value"] == pytest.approx(0.05)
    assert shown["coverage"]["value"] == pytest.approx(0.8)
    assert shown["workload"]["value"] == pytest.approx(200.0)
    assert shown["checked_accuracy"]["value"] == pytest.approx(1 / 3)
    assert shown["automatic_accuracy"]["value"] == pytest.approx(6 / 8)
    assert shown["violations_found"]["value"] == pytest.approx(2 / 3)
    # a violation that hardly anybody saw, an author wronged, one review of a violation
    assert shown["cost"]["value"] == pytest.approx((12.0 + 8.0 + 1.1) / 27)
    assert "1 of them still wait" in shown["p95_seconds"]["rests_on"]
    pq.write_table(labels.slice(0, 0), tmp_path / "labels.parquet")
    moderation_page(moderation_options(tmp_path / "silent", **files))
    assert figures(tmp_path / "silent")["automatic_accuracy"]["value"] is None


def many(system: str, draw: random.Random) -> tuple[list[Decision], list[Any]]:
    if system == "fraud":
        rows = decided.payments(draw, 1_500)
        return rows, decided.fraud_labels(draw, rows)
    if system == "maintenance":
        return decided.predictions(draw, 600, 20), decided.failures(draw)
    if system == "churn":
        return decided.scores(draw, 600, 20), decided.notices(draw)
    return decided.posts(draw, 600, 20), []


WRITERS: dict[str, tuple[type[BusinessOptions], Callable[[Any], str]]] = {
    "fraud": (FraudBusinessConfig, fraud_page),
    "maintenance": (MaintenanceBusinessConfig, maintenance_page),
    "churn": (ChurnBusinessConfig, churn_page),
    "moderation": (ModerationBusinessConfig, moderation_page),
}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to print with")
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_prints_on_two_sheets_of_a4(system: str, url: str, tmp_path: Path) -> None:
    draw = random.Random(6)
    rows, facts = many(system, draw)
    earlier = [
        decided.moved(row, row.event_time - 60 * DAY, subject_id=f"before-{row.subject_id}")
        for row in rows
    ]
    keep(url, [*rows, *earlier], facts)
    options, write = WRITERS[system]
    dates = {"before_from": "2025-11-02", "before_to": "2025-12-14"}
    write(options(records=url, output=str(tmp_path / "out"), repeats=20, **WINDOW, **dates))
    printed = tmp_path / "page.pdf"
    subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
            f"--user-data-dir={tmp_path}/chromium", f"--print-to-pdf={printed}",
            f"file://{tmp_path}/out/business.html",
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    pages = re.findall(rb"/Type\s*/Page\b(?!s)", printed.read_bytes())
    assert 1 <= len(pages) <= 2
