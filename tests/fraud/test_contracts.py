"""Payments, labels, and when a payment is known to be fraud."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.contract import TIME, MatchCounts, load_mapping, parse_mapping
from lib.fraud.contracts import CONTRACTS, LABELS, TRANSACTIONS, join_labels

MAPPINGS = Path(__file__).parents[1] / "benchmarks" / "mappings"
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def payment(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "transaction_id": "t1",
        "event_time": NOON,
        "user_id": "u1",
        "merchant_id": "m1",
        "amount_minor": 1234,
        "currency": "USD",
        "payment_method": "card_present",
    }
    return row | changes


def payments(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TRANSACTIONS.schema)


def labels(*rows: tuple[str, bool, int]) -> pa.Table:
    ids, flags, times = zip(*rows, strict=True) if rows else ((), (), ())
    columns = [pa.array(ids, pa.string()), pa.array(flags, pa.bool_()), pa.array(times, TIME)]
    return pa.table(columns, schema=LABELS.schema)


def known_interval(*rows: tuple[str, bool, int]) -> tuple[int | None, int | None]:
    table = join_labels(payments(payment()), labels(*rows)).table
    begin, end = (table[name].cast(pa.int64())[0].as_py() for name in ("fraud_from", "fraud_until"))
    return begin, end


def test_the_least_that_a_payment_needs_is_enough():
    good = TRANSACTIONS.check(payments(payment())).good
    assert good.schema == TRANSACTIONS.schema
    assert good["received_at"].to_pylist() == [NOON]
    assert good["device_id"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_minor": -1}, "amount_minor: below 0 minor units"),
        (
            {"amount_minor": 10**8 + 1},
            "amount_minor: above 100,000,000 minor units; a mapping's 'largest' raises it",
        ),
        ({"user_id": None}, "user_id: missing"),
        ({"device_id": ""}, "device_id: empty"),
        ({"currency": "DOLLAR"}, "currency: longer than 3 bytes"),
        ({"event_time": datetime(1970, 1, 2, tzinfo=UTC)}, "event_time: below 1990-01-01 UTC"),
    ],
)
def test_a_malformed_payment_is_quarantined(changes, reason):
    assert TRANSACTIONS.check(payments(payment(**changes))).reasons == {reason: 1}


@pytest.mark.parametrize(
    ("place", "note"),
    [
        ({"latitude": 200.0, "longitude": 0.0}, "latitude: above 90.0 deg; set to missing"),
        ({"latitude": 1.0}, "latitude, longitude: only some of these are given; set to missing"),
    ],
)
def test_a_payment_with_half_a_place_has_none(place, note):
    checked = TRANSACTIONS.check(payments(payment(**place)))
    assert checked.good["latitude"].to_pylist() == [None]
    assert checked.good["longitude"].to_pylist() == [None]
    assert (checked.reasons, checked.adjustments) == ({}, {note: 1})


def test_a_retry_that_arrives_later_is_a_retry():
    again = payment(received_at=datetime(2025, 3, 1, 13, tzinfo=UTC))
    assert TRANSACTIONS.check(payments(payment(), again)).repeats == 1


def test_one_time_cannot_say_both_fraud_and_good():
    checked = LABELS.check(labels(("t1", True, 10**15), ("t1", False, 10**15)))
    assert checked.reasons == {"transaction_id, observed_at: came before with other content": 1}


def test_a_payment_without_labels_is_never_known_as_fraud():
    assert known_interval() == (None, None)


def test_fraud_counts_from_the_first_observation():
    assert known_interval(("t1", True, 20), ("t1", True, 10)) == (10, None)


def test_a_withdrawn_label_ends_the_interval():
    assert known_interval(("t1", False, 30), ("t1", True, 10), ("t1", False, 40)) == (10, 30)


def test_a_review_that_finds_nothing_says_nothing_new():
    assert known_interval(("t1", False, 10), ("t1", True, 20)) == (20, None)


def test_called_fraud_once_more_the_last_interval_counts():
    assert known_interval(("t1", True, 10), ("t1", False, 20), ("t1", True, 30)) == (30, None)


def test_labels_of_unknown_payments_are_counted():
    joined = join_labels(payments(payment()), labels(("t1", True, 10), ("t9", True, 10)))
    assert (joined.matches.unmatched, joined.known_frauds, joined.withdrawn) == (1, 1, 0)
    assert joined.matches == MatchCounts(2, 1, "t9", "t1")


def test_labels_before_their_payment_are_counted():
    paid = payment()
    paid_us = int(paid["event_time"].timestamp() * 1e6)
    joined = join_labels(payments(paid), labels(("t1", True, paid_us - 1), ("t1", False, paid_us)))
    assert joined.before_payment == 1


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=6))
def test_counts_of_parts_add_up_and_warn_of_a_large_share_alone(parts):
    counts = [MatchCounts(few + more, few, "a" * bool(few), "b") for few, more in parts]
    total = sum(counts, MatchCounts())
    assert total.rows == sum(few + more for few, more in parts)
    assert MatchCounts.from_json(total.to_json()) == total
    large = total.rows > 0 and total.unmatched > total.rows / 5
    warning = total.warning("labels", "payment")
    assert (warning is not None) == large
    assert not large or f"{total.unmatched:,} of {total.rows:,} match no payment" in str(warning)


def test_rows_keep_their_order_and_their_columns():
    several = payments(payment(transaction_id="b"), payment(transaction_id="a"))
    joined = join_labels(several, labels(("a", True, 10))).table
    assert joined.select(TRANSACTIONS.names) == several
    assert joined["fraud_from"].null_count == 1


def test_a_label_is_of_the_first_payment_of_its_id():
    several = payments(*(payment(transaction_id=name) for name in ("b", "a", "b")))
    joined = join_labels(several, labels(("c", True, 10), ("b", True, 10))).table
    assert joined["fraud_from"].is_valid().to_pylist() == [True, False, False]


def fold(history: list[tuple[bool, int]], as_of: int) -> bool:
    """What somebody knows who reads labels one by one up to `as_of`."""
    state = False
    for says_fraud, observed in sorted(history, key=lambda label: (label[1], label[0])):
        if observed <= as_of:
            state = says_fraud
    return state


def is_fraud_known(table: pa.Table, as_of: int) -> np.ndarray:
    begin, end = (
        table[name].cast(pa.int64()).fill_null(2**62).to_numpy()
        for name in ("fraud_from", "fraud_until")
    )
    return (begin <= as_of) & (as_of < end)


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=5),
    )
)
@settings(deadline=None)
def test_in_the_end_each_payment_is_what_its_last_label_says(histories):
    table = join_labels(
        payments(*(payment(transaction_id=name) for name in "abcd")),
        labels(*((name, *label) for name, history in histories.items() for label in history)),
    ).table
    is_fraud = is_fraud_known(table, 10)
    assert is_fraud.tolist() == [fold(histories.get(name, []), 10) for name in "abcd"]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=4), st.integers(0, 10))
@settings(deadline=None)
def test_nothing_counts_before_it_was_observed(history, as_of):
    table = join_labels(payments(payment()), labels(*(("t1", *label) for label in history))).table
    if is_fraud_known(table, as_of)[0]:
        assert fold(history, as_of)


@pytest.mark.parametrize("name", ["handbook_transactions", "handbook_labels"])
def test_the_handbook_mappings_load(name):
    mapping = load_mapping(MAPPINGS / f"{name}.yaml", CONTRACTS)
    assert "TX_DATETIME" in mapping.source_columns


def test_handbook_rows_become_payments_and_labels():
    raw = pa.table(
        {
            "TRANSACTION_ID": pa.array([7, 8], pa.int32()),
            "TX_DATETIME": pa.array([0, 1_522_540_800_000], pa.timestamp("ms")),
            "CUSTOMER_ID": pa.array([596, 4], pa.int16()),
            "TERMINAL_ID": pa.array([3156, 5], pa.int16()),
            "TX_AMOUNT": [57.16, 262.8],
            "TX_FRAUD": pa.array([0, 1], pa.int8()),
        }
    )
    good, label = (
        load_mapping(MAPPINGS / f"handbook_{name}.yaml", CONTRACTS).check(raw)
        for name in ("transactions", "labels")
    )
    assert good.good.select(["transaction_id", "user_id", "amount_minor"]).to_pylist() == [
        {"transaction_id": "8", "user_id": "4", "amount_minor": 26280}
    ]
    assert good.reasons == {"event_time: below 1990-01-01 UTC": 1}
    assert label.good.to_pylist() == [
        {
            "transaction_id": "8",
            "is_fraud": True,
            "observed_at": datetime(2018, 4, 8, tzinfo=UTC),
        }
    ]


def test_a_currency_without_a_rate_is_quarantined_by_name():
    mapping = parse_mapping(
        """
        contract: transactions
        currencies: {settlement: USD, rates: {EUR: {per_million: 1085000}}}
        columns:
          transaction_id: id
          event_time: {from: time, unit: s}
          user_id: user
          merchant_id: shop
          amount_minor: {from: amount, unit: major, currency_from: currency}
          currency: currency
          payment_method: {value: card_present}
        """,
        CONTRACTS,
    )
    raw = pa.table(
        {
            "id": ["a", "b"],
            "time": [1_700_000_000] * 2,
            "user": ["u"] * 2,
            "shop": ["m"] * 2,
            "amount": ["10.00", "10.00"],
            "currency": ["EUR", "ABC"],
        }
    )
    checked = mapping.check(raw)
    assert checked.good["amount_minor"].to_pylist() == [1085]
    assert checked.good["currency"].to_pylist() == ["EUR"]
    assert checked.reasons == {"currency: no rate for 'ABC'": 1}
    assert np.all(checked.quarantined["id"].to_numpy() == ["b"])
