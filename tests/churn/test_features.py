"""What is known of a customer at a moment, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.churn.events import stream
from lib.churn.features import churn_features, group_of, untold
from lib.churn.health import COMPONENTS
from lib.churn.reasons import words_for
from lib.churn.snapshots import features_at
from lib.churn.vocabulary import ChurnError, CustomerVocabulary, parse_vocabulary
from tests.churn.tables import BASE, SIGNED, at, base_in, day, features, table, world


def uses(*days: int, month: int = 3, user: str = "u1") -> list[dict[str, object]]:
    return [
        {"event_time": at(month, day_number, 12), "user_id": user, "feature": "f", "count": 2}
        for day_number in days
    ]


def test_windows_count_what_happened_in_them():
    row = features(at(3, 31), usage=table("usage", *uses(1, 2, 28), *uses(28, user="u2")))
    assert (row["usage_7d"], row["usage_30d"], row["usage_90d"]) == (4, 8, 8)
    assert (row["active_users_7d"], row["active_days_30d"]) == (2, 3)
    assert row["seats_active_share"] == 0.2
    assert row["days_since_use"] == 2.5


def test_what_happens_at_the_moment_or_later_does_not_count():
    late = features(at(3, 28, 12), usage=table("usage", *uses(28, 29)))
    assert late["usage_30d"] == 0
    assert math.isnan(late["days_since_use"])


def test_what_became_known_later_does_not_count():
    known_late = [{**row, "known_at": at(4, 5)} for row in uses(10)]
    assert features(at(4, 1), usage=table("usage", *known_late))["usage_30d"] == 0
    assert features(at(4, 6), usage=table("usage", *known_late))["usage_30d"] == 2


def test_how_a_ticket_ended_counts_once_it_is_closed():
    ticket = {
        "ticket_id": "t",
        "event_time": at(3, 1),
        "closed_at": at(3, 9),
        "satisfaction": 3.0,
        "escalated": True,
        "priority": "urgent",
    }
    open_yet = features(at(3, 5), tickets=table("tickets", ticket))
    closed = features(at(3, 10), tickets=table("tickets", ticket))
    assert (open_yet["open_tickets"], closed["open_tickets"]) == (1, 0)
    assert math.isnan(open_yet["satisfaction_mean_180d"])
    assert closed["satisfaction_mean_180d"] == 3.0
    assert closed["resolution_hours_mean_90d"] == 8 * 24
    assert open_yet["escalated_tickets_90d"] == open_yet["urgent_tickets_90d"] == 1


def test_a_ticket_that_cancels_is_no_feature():
    cancels = {"ticket_id": "t", "event_time": at(3, 1), "escalated": True, "about_leaving": True}
    row = features(at(3, 5), tickets=table("tickets", cancels))
    quiet = features(at(3, 5), tickets=table("tickets"))
    assert row == pytest.approx(quiet, nan_ok=True)


def test_a_discount_given_to_keep_a_customer_is_no_feature():
    bill = {"invoice_id": "i", "event_time": at(3, 1)}
    full = features(at(3, 5), invoices=table("invoices", {**bill, "amount_minor": 1000}))
    saved = {**bill, "amount_minor": 900, "discount_minor": 100, "save_offer": True}
    kept = features(at(3, 5), invoices=table("invoices", saved))
    usual = features(at(3, 5), invoices=table("invoices", {**saved, "save_offer": False}))
    assert kept == pytest.approx(full, nan_ok=True)
    assert usual["discount_share_90d"] == pytest.approx(100 / 900)


def test_notice_is_no_feature():
    notice = table("churn", {"event_time": at(3, 1), "ends_at": at(4, 1)})
    assert features(at(3, 5), churn=notice) == pytest.approx(features(at(3, 5)), nan_ok=True)


def test_money_owed_is_overdue_after_its_day():
    bill = {"invoice_id": "i", "event_time": at(3, 1), "due_at": at(3, 15), "amount_minor": 5000}
    paid = table("payments", {"event_time": at(2, 1), "amount_minor": 1})
    before = features(at(3, 10), invoices=table("invoices", bill), payments=paid)
    after = features(at(3, 20), invoices=table("invoices", bill), payments=paid)
    assert before["overdue"] == 0.0
    assert after["overdue"] == pytest.approx(49.99)


def test_a_contract_counts_from_when_it_holds():
    more = {**SIGNED, "event_time": at(6, 1), "known_at": at(4, 1), "seats": 50}
    rows = table("customers", SIGNED, more)
    assert features(at(5, 1), customers=rows)["seats"] == 10
    later = features(at(6, 2), customers=rows)
    assert later["seats"] == 50
    assert later["tenure_days"] == pytest.approx(152)
    assert later["mrr"] == 1000.0
    assert later["segment_code"] == 2.0


def test_features_of_tables_that_are_not_told_are_missing():
    base = CustomerVocabulary(("small",), ("pro",), ("usage",))
    row = features(at(3, 31), base, usage=table("usage", *uses(28)))
    assert math.isnan(row["tickets_30d"])
    assert math.isnan(row["overdue"])
    assert row["usage_7d"] == 2
    assert {group_of()[name] for name in untold(base)} == {"support", "payment", "sentiment"}


def test_every_feature_has_a_group_and_words():
    names = churn_features(BASE).names
    assert set(names) == group_of().keys()
    assert set(group_of().values()) == {*COMPONENTS, "contract"}
    assert all(words_for(name) and "_" not in words_for(name) for name in names)


def test_nothing_later_than_the_moment_changes_a_row():
    """The leak test over everything: rows computed from the past alone are the same rows."""
    _, tables = world()
    base, names = base_in(tables), tables["customers"]["customer_id"].to_pylist()[:60]
    events = stream(tables, base)
    moment = day(300)
    times = np.full(len(names), moment)
    past = events.filter(np.asarray(events["received_at"].cast("int64")) < moment)
    matrix = features_at(base, events, names, times)
    np.testing.assert_array_equal(matrix, features_at(base, past, names, times))
    assert past.num_rows < events.num_rows


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("segments: [a, a]", "'a' is listed twice"),
        ("segmets: [a]", "segmets: unknown field; did you mean 'segments'"),
        ("plans: basic", "plans: expected a list, got 'basic'"),
        ("tables: [usge]", "got 'usge'"),
    ],
)
def test_a_base_that_cannot_be_meant_is_refused(text: str, words: str):
    with pytest.raises(ChurnError, match=words):
        parse_vocabulary(text)


def test_a_base_comes_back_from_its_file():
    assert parse_vocabulary(BASE.to_yaml()) == BASE
