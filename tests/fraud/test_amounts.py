"""An amount is the same number in training and service, whatever the currency's digits."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lib.contract import ContractError, parse_mapping
from lib.feature import compute
from lib.fraud.amounts import AmountScale
from lib.fraud.contracts import CONTRACTS, TRANSACTIONS
from lib.fraud.features import FRAUD, fraud_features
from serve.fraud.schemas import payment_adapter, to_event
from tests.fraud import oracle, streams
from tests.fraud.replay import assert_online_equals_offline

YEN, DOLLAR, DINAR = AmountScale(0), AmountScale(2), AmountScale(3)
RUPIAH = AmountScale(2, 10**12)
SENT = {
    "transaction_id": "t1",
    "event_time": "2026-01-31T12:00:00Z",
    "user_id": "u",
    "merchant_id": "m",
    "currency": "USD",
    "payment_method": "card",
}


def mapped(amount: str, scale: AmountScale, unit: str = "major") -> tuple[int, AmountScale]:
    mapping = parse_mapping(
        f"""
        contract: transactions
        columns:
          transaction_id: t
          event_time: at
          user_id: u
          merchant_id: m
          amount_minor:
            {{from: a, unit: {unit}, currency_digits: {scale.digits}, largest: {scale.largest}}}
          currency: {{value: USD}}
          payment_method: {{value: card}}
        """,
        CONTRACTS,
    )
    row = {"t": ["t1"], "at": ["2026-01-31T12:00:00Z"], "u": ["u"], "m": ["m"], "a": [amount]}
    (good,) = mapping.check(pa.table(row)).good.to_pylist()
    return good["amount_minor"], AmountScale.of(mapping)


def served(amount: object, scale: AmountScale) -> int:
    payment = payment_adapter(scale).validate_python(SENT | {"amount": amount})
    return to_event(payment, scale)["amount_minor"]


def first_amount(minor: int, scale: AmountScale) -> float:
    row = {name: [value] for name, value in SENT.items()} | {"amount_minor": [minor]}
    table = pa.table(
        row | {"event_time": pa.array([0], pa.int64()).cast(TRANSACTIONS["event_time"].type)}
    )
    for column in TRANSACTIONS.columns:
        if column.name not in table.column_names:
            table = table.append_column(column.name, pa.nulls(1, column.type))
    for name in ("fraud_from", "fraud_until"):
        table = table.append_column(name, pa.nulls(1, TRANSACTIONS["event_time"].type))
    return compute(fraud_features(scale), table)["amount"][0].as_py()


@pytest.mark.parametrize(
    ("amount", "scale", "value"),
    [
        ("1500", YEN, 1500.0),
        ("12.34", DOLLAR, 12.34),
        ("1.234", DINAR, 1.234),
        ("5000000000.25", RUPIAH, 5_000_000_000.25),
    ],
)
def test_an_amount_is_one_number_in_training_and_service(amount, scale, value):
    minor, of_mapping = mapped(amount, scale)
    assert (served(amount, scale), of_mapping) == (minor, scale)
    assert first_amount(minor, scale) == value


@given(st.integers(0, 10**8), st.sampled_from([YEN, DOLLAR, DINAR]))
def test_major_and_minor_units_of_a_file_and_a_request_agree(minor, scale):
    text = f"{minor // scale.minor_per_unit}"
    if scale.digits:
        text += f".{minor % scale.minor_per_unit:0{scale.digits}d}"
    assert mapped(text, scale)[0] == mapped(str(minor), scale, "minor")[0] == minor
    assert served(text, scale) == minor


@settings(max_examples=20, deadline=None)
@given(streams.payments(max_size=30), st.sampled_from([YEN, DINAR, RUPIAH]))
def test_online_equals_offline_exactly_on_every_scale(payments, scale):
    features = fraud_features(scale)
    payments = [
        payment | {"amount_minor": payment["amount_minor"] * scale.quantum} for payment in payments
    ]
    assert_online_equals_offline(features, payments)


@settings(max_examples=20, deadline=None)
@given(streams.payments(max_size=30))
def test_features_of_large_amounts_are_those_of_the_same_amounts_made_small(payments):
    order = oracle.processing_order(payments)
    large = [
        payment | {"amount_minor": payment["amount_minor"] * RUPIAH.quantum} for payment in order
    ]
    small = compute(FRAUD, oracle.as_table(order))["amount_std_by_user_30d"].to_pylist()
    deviations = compute(fraud_features(RUPIAH), oracle.as_table(large))["amount_std_by_user_30d"]
    expected = [deviation * RUPIAH.quantum for deviation in small]
    assert deviations.to_pylist() == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("amount", "scale"),
    [
        ("1.5", YEN),
        ("1.234", DOLLAR),
        ("1.2345", DINAR),
        ("1000000.01", DOLLAR),
        ("100000.001", DINAR),
        ("100000001", YEN),
        ("-1", YEN),
    ],
)
def test_what_the_currency_or_its_bound_does_not_have_is_refused(amount, scale):
    with pytest.raises(ValidationError) as refused:
        served(amount, scale)
    assert refused.value.errors()[0]["loc"] == ("amount",)


def test_a_model_of_another_scale_has_another_feature_set():
    scales = (YEN, DOLLAR, DINAR, RUPIAH)
    assert len({fraud_features(scale).digest for scale in scales}) == 4
    assert fraud_features(DOLLAR).digest == FRAUD.digest == fraud_features().digest


@pytest.mark.parametrize("wrong", [{"digits": 5}, {"largest_minor": 10**13}, {"largest_minor": 0}])
def test_a_scale_on_which_sums_are_not_exact_is_refused(wrong):
    with pytest.raises(ContractError):
        AmountScale(**wrong)
