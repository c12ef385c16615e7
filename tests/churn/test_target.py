"""Who is a customer at a moment, and who leaves."""

from __future__ import annotations

import math

import pytest

from lib.churn.consistency import (
    END_BEFORE_NOTICE,
    FLAG_WITHOUT_NOTICE,
    NOTICE_BEFORE_START,
    NOTICE_WITHOUT_FLAG,
    OVERLAPPING,
    USE_AFTER_END,
    contradictions,
)
from lib.churn.snapshots import snapshots
from lib.churn.target import Target
from lib.churn.vocabulary import ChurnError
from tests.churn.tables import BASE, SIGNED, at, happened, table, us

END = us(at(12, 1))


def label(when: object, target: Target | None = None, until: int = END, **tables: object) -> object:
    """The label of c1 at a moment; None where it is no row."""
    rows = snapshots(happened(**tables), BASE, [us(when)], target or Target(), until)  # type: ignore[arg-type]
    return rows.labels[0] if len(rows) else None


def notice(*times: object) -> object:
    return table("churn", *({"event_time": moment} for moment in times))


def test_leaving_is_notice_within_the_window():
    notices = notice(at(5, 1))
    assert label(at(3, 3), churn=notices) == 1.0
    assert label(at(3, 1), churn=notices) == 0.0
    assert label(at(5, 1), churn=notices) is None
    assert label(at(6, 1), churn=notices) is None


def test_before_the_first_contract_nobody_is_a_customer():
    assert label(at(1, 1), churn=notice()) is None


def test_a_ticket_that_cancels_is_notice():
    ticket = {"ticket_id": "t", "event_time": at(4, 1), "about_leaving": True}
    assert label(at(3, 1), tickets=table("tickets", ticket)) == 1.0
    assert label(at(4, 2), tickets=table("tickets", ticket), churn=notice(at(4, 3))) is None


def test_whoever_comes_back_is_a_customer_again():
    back = table("customers", SIGNED, {**SIGNED, "event_time": at(7, 1)})
    notices = notice(at(5, 1), at(9, 1))
    assert label(at(6, 1), customers=back, churn=notices) is None
    assert label(at(8, 1), customers=back, churn=notices) == 1.0


def test_news_of_a_customer_who_is_leaving_is_no_return():
    news = table("customers", SIGNED, {**SIGNED, "event_time": at(5, 10), "seats": 5})
    leaving = table("churn", {"event_time": at(5, 1), "ends_at": at(6, 1)})
    assert label(at(5, 20), customers=news, churn=leaving) is None
    assert label(at(7, 1), customers=news, churn=leaving) is None


def test_the_end_counts_where_a_ticket_cancels_at_the_moment_of_the_notice():
    news = table("customers", SIGNED, {**SIGNED, "event_time": at(5, 10), "seats": 5})
    leaving = table("churn", {"event_time": at(5, 1), "ends_at": at(6, 1)})
    ticket = table("tickets", {"ticket_id": "t", "event_time": at(5, 1), "about_leaving": True})
    assert label(at(5, 20), customers=news, churn=leaving, tickets=ticket) is None


def test_outcomes_that_are_not_known_yet_are_missing_for_leavers_too():
    until = us(at(5, 10))
    assert math.isnan(label(at(4, 1), until=until, churn=notice(at(5, 1))))  # type: ignore[arg-type]
    assert math.isnan(label(at(4, 1), until=until, churn=notice()))  # type: ignore[arg-type]


def test_with_a_lead_who_leaves_during_it_is_no_row():
    target = Target(lead_days=30, window_days=30)
    assert label(at(3, 1), target, churn=notice(at(3, 20))) is None
    assert label(at(3, 1), target, churn=notice(at(4, 20))) == 1.0


def test_falling_silent_is_leaving_where_no_notice_is_given():
    target = Target(means="no_invoice")
    bills = [
        {"invoice_id": f"i{n}", "event_time": when, "amount_minor": 100}
        for n, when in enumerate((at(2, 1), at(4, 15)))
    ]
    sold = table("invoices", *bills)
    assert label(at(2, 1), target, invoices=sold) is None
    assert label(at(2, 10), target, invoices=sold) == 1.0
    assert label(at(3, 1), target, invoices=sold) == 0.0
    assert label(at(9, 1), target, invoices=sold) is None
    credit = {"invoice_id": "i9", "event_time": at(3, 20), "amount_minor": -100}
    assert label(at(2, 10), target, invoices=table("invoices", *bills, credit)) == 1.0


def test_a_target_that_means_nothing_is_refused():
    with pytest.raises(ChurnError, match="window_days"):
        Target(window_days=0)


def test_contradictions_are_counted():
    left = table("customers", {**SIGNED, "churned": True})
    assert contradictions(happened(customers=left)) == {FLAG_WITHOUT_NOTICE: 1}
    stays = table("customers", {**SIGNED, "churned": False})
    early = table("churn", {"event_time": at(1, 1), "ends_at": at(2, 1)})
    used = table("usage", {"event_time": at(6, 1)})
    counts = contradictions(happened(customers=stays, churn=early, usage=used))
    assert counts == {NOTICE_WITHOUT_FLAG: 1, USE_AFTER_END: 1}
    before = table("churn", {"event_time": at(1, 1)})
    later = table("customers", {**SIGNED, "contract_start": at(2, 1), "event_time": at(2, 1)})
    assert contradictions(happened(customers=later, churn=before)) == {NOTICE_BEFORE_START: 1}
    again = {**SIGNED, "event_time": at(6, 1), "contract_start": at(6, 1)}
    assert contradictions(happened(customers=table("customers", SIGNED, again))) == {OVERLAPPING: 1}
    odd = table("churn", {"event_time": at(3, 1), "ends_at": at(2, 1)})
    assert contradictions(happened(churn=odd)) == {END_BEFORE_NOTICE: 1}
