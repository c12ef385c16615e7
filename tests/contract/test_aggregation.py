"""Several rows of one thing become one row, whatever order and pieces they come in."""

from collections import defaultdict
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.churn.contracts import CONTRACTS
from lib.contract import ContractError, parse_mapping, read_checked
from tests.contract.factories import SUBSCRIPTIONS

HEAD = SUBSCRIPTIONS + "  churned: gone\n"
SUMMED = """
aggregate:
  by: [customer_id]
  distinct: subscription
  sum: [mrr_minor, seats]
  earliest: [event_time, contract_start]
  first: [plan]
  all: [churned]
"""
COLUMNS = ("subscription", "account", "since", "plan", "seats", "gone", "mrr", "currency")


def mapping(text=SUMMED, head=HEAD):
    return parse_mapping(head + text, CONTRACTS, "customers.yaml")


def raw(rows):
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in COLUMNS})


def row(subscription, account="a", since="2024-01-01", mrr="100", **other):
    return {
        "subscription": subscription,
        "account": account,
        "since": since,
        "plan": "pro",
        "seats": "1",
        "gone": "false",
        "mrr": mrr,
        "currency": "USD",
        **other,
    }


def test_amounts_of_two_currencies_are_settled_and_summed():
    rows = [row("s1"), row("s2", mrr="30000", currency="JPY", seats="4", since="2024-02-01")]
    checked = mapping().check(raw(rows))
    (customer,) = checked.good.to_pylist()
    assert customer["mrr_minor"] == 10_000 + 20_100
    assert customer["seats"] == 5
    assert customer["event_time"] == datetime(2024, 1, 1, tzinfo=UTC)
    # what a sum comes to is known when its last part is, never before
    assert customer["known_at"] == datetime(2024, 2, 1, tzinfo=UTC)
    assert (checked.merged, checked.repeats, checked.reasons) == (1, 0, {})


def test_a_subscription_that_is_sent_twice_counts_once():
    checked = mapping().check(raw([row("s1"), row("s2"), row("s1"), row("s1")]))
    assert checked.good["mrr_minor"].to_pylist() == [20_000]
    assert (checked.merged, checked.repeats) == (1, 2)


def test_a_subscription_that_is_sent_with_other_content_is_set_aside():
    checked = mapping().check(raw([row("s1"), row("s2"), row("s1", since="2024-03-01")]))
    assert checked.good["mrr_minor"].to_pylist() == [20_000]
    assert checked.reasons == {"row_id: came before with other content": 1}


def test_rows_without_ids_of_their_own_all_count_where_the_file_says_so():
    text = SUMMED.replace("distinct: subscription", "distinct: none")
    assert mapping(text).check(raw([row("s1"), row("s1")])).good["mrr_minor"].to_pylist() == [
        20_000
    ]


def test_rows_that_differ_where_they_should_agree_are_set_aside_together():
    text = SUMMED.replace("  first: [plan]\n", "")
    rows = [row("s1"), row("s2", plan="free"), row("s3", plan=None), row("s4", account="b")]
    checked = mapping(text).check(raw(rows))
    assert checked.good["customer_id"].to_pylist() == ["b"]
    ((reason, count),) = checked.reasons.items()
    assert count == 3
    assert reason.startswith("plan: differs between rows of one customer_id; name it under 'first'")


def test_a_sum_out_of_range_is_set_aside():
    rows = [row("s1", seats="900000000"), row("s2", seats="900000000")]
    checked = mapping().check(raw(rows))
    assert checked.good["seats"].to_pylist() == [None]
    assert checked.adjustments == {"seats: above 1,000,000,000.0; set to missing": 1}


RUNNING = """
aggregate:
  by: [customer_id, event_time]
  running: true
  distinct: [subscription, change]
  ends: {change: [ended]}
  sum: [mrr_minor, seats]
  last: [plan]
  earliest: [contract_start]
"""
UNPIVOTED = (
    HEAD.replace("{from: since, timezone: UTC}", "{from: at, timezone: UTC}", 1)
    + "unpivot: {columns: [since, ended], label: change, value: at}\n"
    + "where: {at: {present: true}}\n"
)


def test_running_sums_follow_what_begins_and_what_ends():
    rows = pa.table(
        {
            "subscription": ["s1", "s2", "s3"],
            "account": ["a", "a", "b"],
            "since": ["2024-01-01", "2024-02-01", "2024-01-15"],
            "ended": ["2024-03-01", None, None],
            "plan": ["free", "pro", "free"],
            "seats": ["2", "3", "7"],
            "gone": ["false", "false", "false"],
            "mrr": ["10", "20", "5"],
            "currency": ["USD", "USD", "USD"],
        }
    )
    checked = mapping(RUNNING, UNPIVOTED).check(rows)
    history = sorted(
        (row["customer_id"], row["event_time"].month, row["mrr_minor"], row["seats"], row["plan"])
        for row in checked.good.to_pylist()
    )
    assert history == [
        ("a", 1, 1_000, 2, "free"),
        ("a", 2, 3_000, 5, "pro"),
        ("a", 3, 2_000, 3, "pro"),
        ("b", 1, 500, 7, "free"),
    ]
    assert (checked.rows_in, checked.left_out, checked.merged) == (6, 2, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aggregate: {sum: [mrr_minor]}", "needs 'by: \\[customer_id\\]'"),
        ("aggregate: {by: [plan], sum: [mrr_minor]}", "'plan' is not possible"),
        ("aggregate: {by: [customer_id], sum: [mrr_minor]}", "say what becomes of it"),
        ("aggregate: {by: [customer_id], earliest: [event_time]}", "needs 'distinct'"),
        ("aggregate: {by: [customer_id], latest: [event_time], sum: [plan]}", "not possible for"),
        (
            "aggregate: {by: [customer_id], latest: [event_time], sum: [mrr]}",
            "fills no column 'mrr'",
        ),
        ("aggregate: {by: [customer_id], sums: [mrr_minor]}", "unknown key"),
        (
            "aggregate: {by: [customer_id], latest: [event_time], distinct: none, running: true}",
            "needs rows that are named by a thing and a time",
        ),
    ],
)
def test_an_aggregation_that_is_not_possible_is_refused(text, message):
    with pytest.raises(ContractError, match=message):
        mapping(text + "\n")


def test_the_reason_names_the_option_where_rows_of_a_customer_are_not_aggregated():
    checked = mapping("").check(raw([row("s1"), row("s2", mrr="1")]))
    assert checked.reasons == {
        "customer_id, event_time: came before with other content (several rows of one "
        "customer_id: declare 'aggregate' in the mapping)": 1
    }


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(["s1", "s2", "s3", "s4", None]),
        account=st.sampled_from(["a", "b"]),
        since=st.sampled_from(["2024-01-01", "2024-01-02", "2024-05-05", "never"]),
        mrr=st.sampled_from(["1", "2.50", None, "x"]),
        currency=st.sampled_from(["USD", "JPY"]),
        seats=st.sampled_from(["1", "2", None]),
        plan=st.sampled_from(["free", "pro", None]),
    ),
    max_size=12,
)


def by_hand(good):
    """Customers as a reader would sum them: each subscription once, the first that is sent."""
    customers = defaultdict(dict)
    for row in sorted(good, key=lambda row: (row["event_time"], str(row["mrr_minor"]))):
        customers[row["customer_id"]].setdefault(row["row_id"], []).append(row)
    return {
        name: (
            min(rows[0]["event_time"] for rows in parts.values()),
            max(rows[0]["event_time"] for rows in parts.values()),
            sum_of([rows[0]["mrr_minor"] for rows in parts.values()]),
            sum_of([rows[0]["seats"] for rows in parts.values()]),
        )
        for name, parts in customers.items()
        if all(len({str(value) for value in rows}) == 1 for rows in parts.values())
    }


def sum_of(values):
    return sum(value for value in values if value is not None) if set(values) - {None} else None


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 12))
def test_rows_are_summed_exactly_in_any_order_and_any_pieces(rows, random, cut):
    summed = mapping()
    at_once = summed.check(raw(rows))
    shuffled = list(rows)
    random.shuffle(shuffled)
    parts = [summed.check(raw(part), partial=True) for part in (shuffled[:cut], shuffled[cut:])]
    gathered = pa.concat_tables([part.good for part in parts])
    together = summed.aggregation.check(gathered, summed.contract)
    order = [("customer_id", "ascending")]
    assert together.good.sort_by(order).equals(at_once.good.sort_by(order))
    assert (together.merged, together.repeats) == (at_once.merged, at_once.repeats)
    assert together.rows_in + sum(part.quarantined.num_rows for part in parts) == len(rows)
    for checked in (at_once, together):
        counted = checked.quarantined.num_rows + checked.repeats + checked.merged + checked.left_out
        assert checked.rows_in == checked.good.num_rows + counted
    expected = by_hand(gathered.to_pylist())
    sums = {
        row["customer_id"]: (row["event_time"], row["known_at"], row["mrr_minor"], row["seats"])
        for row in at_once.good.to_pylist()
    }
    assert {name: sums[name] for name in expected} == expected


def test_files_are_read_as_one_table(tmp_path):
    for name, rows in (("a", [row("s1"), row("s2")]), ("b", [row("s1"), row("s3", "b")])):
        lines = [",".join(row[column] for column in COLUMNS) for row in rows]
        (tmp_path / f"{name}.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    checked = read_checked(mapping(), tmp_path)
    sums = {row["customer_id"]: row["mrr_minor"] for row in checked.good.to_pylist()}
    assert sums == {"a": 20_000, "b": 10_000}
    assert (checked.rows_in, checked.merged, checked.repeats) == (4, 1, 1)
