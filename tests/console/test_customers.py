"""What the pages of customers show, read without a browser, and what they do."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.churn.intervention_repository import (
    ContradictedOutcomeError,
    InterventionOutcome,
    InterventionRepository,
    StoredPlan,
    UnknownInterventionError,
)
from lib.churn.intervention_switch import SwitchUnchangedError
from lib.churn.standing_repository import StandingRepository
from lib.console.audit import AuditFilter, read_audit
from lib.console.contacts import (
    ContactsPart,
    list_contacts,
    read_contacts,
    report_contact,
    set_interventions,
    summary_of,
    withdraw_report,
)
from lib.console.customer import (
    StaleOverrideError,
    UnknownCustomerError,
    override_customer,
    read_customer,
)
from lib.console.customers import (
    BANDS,
    CURVE_HEIGHT,
    CURVE_WIDTH,
    CustomerFilter,
    customers_csv,
    list_customers,
    read_customers,
    small_curve,
)
from lib.records import Records
from tests.console.seeded import NOW, STORED_SCRIPT, Seeded
from tests.console.seeded_customers import CONTACTS, CUSTOMERS, DAY, HELD_OUT, KEY, PLAN, SEGMENTS

TODAY = NOW - NOW % DAY
ANN = {"author": "ann", "key_id": KEY, "now": NOW}


@pytest.mark.parametrize("order", ["risk", "health", "id"])
def test_parts_of_the_list_hold_everybody_once_in_order(lived: Seeded, order: str) -> None:
    shown = CustomerFilter(order=order)  # type: ignore[arg-type]
    with lived.source("churn") as source:
        everybody = list_customers(source, shown, NOW, 1000).customers
        parts, after = [], None
        while True:
            part = list_customers(source, shown, NOW, 17, after)
            parts += part.customers
            after = part.after
            if after is None:
                break
    assert tuple(parts) == everybody
    assert len(everybody) == CUSTOMERS


def test_the_list_is_filtered_by_segment_band_text_and_who_set_the_health(own: Seeded) -> None:
    with own.source("churn") as source:

        def listed(**fields: object) -> set[str]:
            shown = CustomerFilter(**fields)  # type: ignore[arg-type]
            part = list_customers(source, shown, NOW, 1000)
            return {line.standing.customer_id for line in part.customers}

        assert listed(segment="enterprise") == {f"ct{n}" for n in range(0, CUSTOMERS, 4)}
        assert listed(segment="") == {f"ct{n}" for n in range(3, CUSTOMERS, 4)}
        assert listed(text="t5") == {"ct5", *(f"ct5{n}" for n in range(10))}
        assert listed(text="%") == set()
        assert listed(overridden=True) == {"ct5"}
        assert listed(band="red") < listed()
        source.records.sharing(StandingRepository).note_notices({"ct7": NOW})
        assert listed(left=True) == {"ct7"}
        assert "ct7" not in listed()


def test_the_band_of_the_filter_is_the_one_that_is_shown(own: Seeded) -> None:
    with own.source("churn") as source:
        for name, score in (("ct1", 5.0), ("ct2", 95.0), ("ct3", 50.0)):
            override_customer(
                source, name, score, author="ann", key_id=KEY, reason="x",
                now=NOW, until=NOW + DAY, present=None,
            )  # fmt: skip
        listed = {
            band: {
                line.standing.customer_id: line.band
                for line in list_customers(source, CustomerFilter(band=band), NOW, 1000).customers
            }
            for band in BANDS
        }
    assert sum(map(len, listed.values())) == CUSTOMERS
    for band, lines in listed.items():
        assert set(lines.values()) == {band}
    assert ("ct1" in listed["red"], "ct2" in listed["green"]) == (True, True)


def test_the_score_that_counts_is_the_one_that_people_set(own: Seeded) -> None:
    with own.source("churn") as source:
        (line,) = list_customers(source, CustomerFilter(overridden=True), NOW, 9).customers
        assert (line.score, line.band) == (80.0, "green")
        assert line.standing.score != 80.0
        expired = list_customers(source, CustomerFilter(overridden=True), NOW + 30 * DAY, 9)
    assert expired.customers == ()


def test_segments_show_bands_and_the_quarter(own: Seeded) -> None:
    with own.source("churn") as source:
        view = read_customers(source, CustomerFilter(), NOW, 10)
    by_name = {line.figures.segment: line for line in view.segments}
    assert by_name.keys() == set(SEGMENTS)
    assert {line.figures.count for line in view.segments} == {CUSTOMERS // 4}
    falling, rising = by_name["enterprise"], by_name["small business"]
    assert falling.change is not None
    assert rising.change is not None
    assert falling.change < 0.0 < rising.change
    assert falling.curve.count("L") == 11
    assert view.stop is None
    risks = [line.figures.revenue_at_risk for line in view.segments]
    assert risks == sorted(risks, reverse=True)


@given(
    st.lists(st.none() | st.floats(0.0, 100.0), min_size=1, max_size=30),
    st.floats(0.0, 100.0),
)
@example([0.0, 5e-324], 0.0)
def test_a_small_curve_stays_within_its_frame(values: list[float | None], low: float) -> None:
    known = [value for value in values if value is not None]
    high = max([low, *known])
    path = small_curve(values, min([low, *known]), high)
    assert (path == "") == (len(known) < 2)
    for point in path.removeprefix("M").split(" L") if path else ():
        x, y = map(float, point.split(","))
        assert 0.0 <= x <= CURVE_WIDTH
        assert 0.0 <= y <= CURVE_HEIGHT


def test_the_csv_of_customers_has_no_cell_that_a_spreadsheet_computes(own: Seeded) -> None:
    with own.source("churn") as source:
        override_customer(
            source,
            "ct1",
            10.0,
            author="=cmd()",
            key_id=KEY,
            reason="x",
            now=NOW,
            until=NOW + DAY,
            present=None,
        )
        part = list_customers(source, CustomerFilter(order="id"), NOW, 1000)
    header, *rows = csv.reader(io.StringIO(customers_csv(part.customers)))
    assert len(rows) == CUSTOMERS
    assert rows[1][header.index("set_by")] == "'=cmd()"


def test_one_customer_shows_why_how_it_went_and_what_was_done(lived: Seeded) -> None:
    with lived.source("churn") as source:
        page = read_customer(source, "ct1", NOW)
        with pytest.raises(UnknownCustomerError):
            read_customer(source, "nobody", NOW)
    assert page.line is not None
    assert page.line.change_30d == pytest.approx(0.4 * 5)
    assert [part.name for part in page.components] == [
        "adoption",
        "engagement",
        "support",
        "payment",
        "sentiment",
    ]
    assert [reason.raises for reason in page.reasons] == [True, False, True]
    assert page.reasons[0].words == "open tickets: 1, usually 1"
    assert page.history is not None
    assert len(page.history.lines[0].dots) == len(page.points) == 12
    assert page.points[0].score == page.line.standing.score
    assert [each.intervention.plan_id for each in page.interventions] == [PLAN, "plan-before"]
    assert [decided.decision for decided in page.decisions] == ["CONTACT"] * 4
    assert [(step.action, step.author) for step in page.steps] == [("outcome reported", "ann")]


def test_nobody_sees_who_is_held_out(own: Seeded) -> None:
    name = f"ct{HELD_OUT}"
    with own.source("churn") as source:
        left = InterventionOutcome(
            intervention_id=f"{PLAN}-{HELD_OUT}",
            kind="left",
            value=True,
            observed_at=NOW,
            received_at=NOW,
            key_id=KEY,
        )
        source.records.sharing(InterventionRepository).insert_outcomes([left])
        page = read_customer(source, name, NOW)
        day = read_contacts(source, TODAY, NOW, ContactsPart(100))
        rows = list_contacts(source, TODAY)
        with pytest.raises(UnknownInterventionError):
            read_contacts(source, TODAY, NOW, ContactsPart(100), item=f"{PLAN}-{HELD_OUT}")
        with pytest.raises(UnknownInterventionError):
            report_contact(source, f"{PLAN}-{HELD_OUT}", "done", note=None, **ANN)
    assert (page.interventions, page.steps) == ((), ())
    assert name not in {line.intervention.customer_id for line in day.contacts}
    assert day.count == len(day.contacts) == CONTACTS - 1
    assert f"{name}," not in rows


def test_an_override_is_set_kept_in_the_audit_and_withdrawn(own: Seeded) -> None:
    given_by = {"reason": "met them", **ANN, "until": NOW + DAY}
    with own.source("churn") as source:
        first = override_customer(source, "ct1", 90.0, **given_by, present=None)
        page = read_customer(source, "ct1", NOW + 1)
        assert page.line is not None
        assert page.line.score == 90.0
        assert [counts for _, counts in page.overrides] == [True]
        with pytest.raises(StaleOverrideError):
            override_customer(source, "ct1", 20.0, **given_by, present=None)
        later = {**given_by, "now": NOW + 2}
        override_customer(source, "ct1", None, **later, present=first.id)
        after = read_customer(source, "ct1", NOW + 3)
        rows = read_audit(source, AuditFilter("customer"), 2).rows
        with pytest.raises(UnknownCustomerError):
            override_customer(source, "nobody", 20.0, **given_by, present=None)
    assert after.line is not None
    assert after.line.override is None
    assert [(row.action, row.person, row.key_id, row.subject) for row in rows] == [
        ("override withdrawn", "ann", KEY, "ct1"),
        ("overridden", "ann", KEY, "ct1"),
    ]
    assert "met them" in rows[0].detail


def test_the_day_has_its_contacts_in_order_with_what_binds(lived: Seeded) -> None:
    with lived.source("churn") as source:
        first = read_contacts(source, TODAY, NOW, ContactsPart(5))
        second = read_contacts(source, TODAY, NOW, ContactsPart(100, first.after))
        empty = read_contacts(source, TODAY - DAY, NOW, ContactsPart(5))
    values = [line.intervention.value for line in (*first.contacts, *second.contacts)]
    assert values == sorted(values, reverse=True)
    assert len(values) == CONTACTS - 1
    assert second.after is None
    assert first.current is not None
    assert first.current.line.intervention.id == f"{PLAN}-0"
    (plan,) = first.plans
    assert [(limit.name, limit.price) for limit in plan.binding] == [("budget", 3.25)]
    assert plan.caps == {"executive_sponsor": 410.0}
    assert (plan.value, plan.best_other) == (21_500.0, 17_200.0)
    assert (empty.plans, empty.current) == ((), None)
    assert empty.latest == TODAY - 2 * DAY


def test_a_plan_of_before_does_not_say_what_binds() -> None:
    old = StoredPlan(id="p", planned_at=1, created_at=1, request={"most": 3}, summary={})
    summary = summary_of(old)
    assert [(limit.limit, limit.price) for limit in summary.limits] == [
        (None, None),
        (None, None),
        (3.0, None),
    ]
    assert summary.binding == ()
    assert summary.enabled


def test_a_reported_contact_makes_room_for_the_next_and_is_taken_back(own: Seeded) -> None:
    name = f"{PLAN}-0"
    with own.source("churn") as source:
        for _ in range(2):  # sent twice
            report_contact(source, name, "done", note="spoke to them", **ANN)
        with pytest.raises(ContradictedOutcomeError):
            report_contact(source, name, "not-done", note=None, **ANN)
        after = read_contacts(source, TODAY, NOW, ContactsPart(100))
        assert after.current is not None
        assert after.current.line.intervention.id == f"{PLAN}-1"
        assert after.known == 1
        withdraw_report(source, name, author="bob", key_id=KEY, now=NOW)
        with pytest.raises(UnknownInterventionError):
            withdraw_report(source, name, author="bob", key_id=KEY, now=NOW)
        again = read_contacts(source, TODAY, NOW, ContactsPart(100))
        steps = read_customer(source, "ct0", NOW).steps
    assert (again.known, again.open_count) == (0, after.open_count + 1)
    assert [(step.action, step.author) for step in steps] == [
        ("outcome withdrawn", "bob"),
        ("outcome reported", "ann"),
    ]


def test_a_notice_becomes_a_label(own: Seeded) -> None:
    with own.source("churn") as source:
        report_contact(source, f"{PLAN}-2", "notice", note="their mail of today", **ANN)
        (label,) = source.records.sharing(Records).labels_for("churn", "ct2")
        outcomes = source.records.sharing(InterventionRepository).outcomes_of([f"{PLAN}-2"])
    assert (label.kind, label.value, label.source) == ("left", True, "intervention")
    assert [(outcome.kind, outcome.author) for outcome in outcomes] == [("left", "ann")]


def test_interventions_are_stopped_with_their_count_and_go_on(own: Seeded) -> None:
    switch = {**ANN, "reason": STORED_SCRIPT}
    with own.source("churn") as source:
        before = read_contacts(source, TODAY, NOW, ContactsPart(10))
        assert before.open_count == CONTACTS - 1 + 1
        set_interventions(source, stopped=True, request_id="r1", **switch)
        stopped = read_contacts(source, TODAY, NOW, ContactsPart(10))
        assert stopped.stop is not None
        assert (stopped.stop.author, stopped.stop.detail) == ("ann", {"reason": STORED_SCRIPT})
        with pytest.raises(SwitchUnchangedError):
            set_interventions(source, stopped=True, request_id="r2", **switch)
        set_interventions(source, stopped=False, request_id="r3", **switch)
        assert read_contacts(source, TODAY, NOW, ContactsPart(10)).stop is None
        rows = read_audit(source, AuditFilter("customer"), 2).rows
    assert [row.action for row in rows] == ["interventions resumed", "interventions stopped"]
    assert {row.subject for row in rows} == {"all interventions"}
