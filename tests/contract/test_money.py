"""Amounts are exact minor units; currencies are settled in integers."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import ContractError, Currency
from lib.contract.money import Currencies, read_amounts
from lib.contract.number_text import NumberFormat

TABLE = Currencies(
    "USD",
    {
        "USD": Currency(2),
        "EUR": Currency(2, 1_085_000),
        "JPY": Currency(0, 6_700),
        "KWD": Currency(3, 3_250_000),
    },
)


def read(values: pa.Array, digits: int = 2, **how: object) -> tuple[list[int | None], list[str]]:
    amounts, faults = read_amounts("a", values, digits, NumberFormat(**how))
    assert amounts.type == pa.int64()
    return amounts.to_pylist(), [text for mask, text in faults if mask.any()]


@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_text_decimals_and_floats_agree_on_whole_minor_units(minor, digits):
    exact = Decimal(minor).scaleb(-digits)
    assert read(pa.array([str(exact)]), digits) == ([minor], [])
    assert read(pa.array([exact], pa.decimal128(30, 6)), digits) == ([minor], [])
    if abs(minor) < 10**9:
        assert read(pa.array([float(exact)]), digits) == ([minor], [])


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["1.005"]),
        pa.array([1.005]),
        pa.array([Decimal("1.005")]),
        pa.array([0.01 + 2e-8]),
    ],
)
def test_finer_than_a_minor_unit_is_a_fault(values):
    assert read(values) == ([None], ["a: not a whole number of minor units (2 digits)"])


def test_a_float_a_hair_off_a_minor_unit_is_that_unit():
    assert read(pa.array([0.1 + 0.2, 1.1 * 3])) == ([30, 330], [])


def test_a_text_printed_from_a_float_is_read_as_that_float():
    assert read(pa.array(["85.64999999999999", "268.15000000000003"])) == ([8565, 26815], [])
    assert read(pa.array(["85.64333333333333"]))[0] == [None]
    assert read(pa.array(["1e3", "1E+05", "2.5e-01", "1.234567e+06"]))[0] == [
        100_000,
        10_000_000,
        25,
        123_456_700,
    ]
    assert read(pa.array(["1.5e-3", "1e400"]))[0] == [None, None]


@given(st.integers(0, 6_553_599), st.sampled_from([pa.float32(), pa.float64()]))
def test_amounts_up_to_65536_survive_any_float(minor, kind):
    assert read(pa.array([minor / 100], kind)) == ([minor], [])


def test_floats_too_coarse_for_minor_units_are_faults():
    assert read(pa.array([400_000.37], pa.float32()))[0] == [None]
    assert read(pa.array([1.004], pa.float32()))[0] == [None]


@pytest.mark.parametrize("text", ["", "NaN", "12."])
def test_texts_that_are_no_amount_are_faults(text):
    assert read(pa.array([text])) == ([None], ["a: not an amount"])


@pytest.mark.parametrize(
    ("text", "hint"),
    [("12,50", "thousands"), ("1 000", "thousands"), ("$5", "sign"), ("(3.00)", "sign")],
)
def test_a_fault_says_what_to_declare(text, hint):
    amounts, faults = read(pa.array([text]))
    assert (amounts, len(faults)) == ([None], 1)
    assert faults[0].startswith("a: not an amount")
    assert hint in faults[0]


def test_a_decimal_comma_can_be_declared():
    assert read(pa.array(["12,50"]), decimal_mark=",") == ([1250], [])


@pytest.mark.parametrize("text", ["1.500", "1.500,00", "1.50"])
def test_a_point_beside_a_decimal_comma_is_a_fault_unless_it_parts_thousands(text):
    amounts, faults = read(pa.array([text]), decimal_mark=",")
    assert amounts == [None]
    assert "decimal_mark ',' and thousands none" in faults[0]


@pytest.mark.parametrize(
    ("text", "minor", "how"),
    [
        ("1.500", 150_000, {"decimal_mark": ",", "thousands": "."}),
        ("1.234.567,89", 123_456_789, {"decimal_mark": ",", "thousands": "."}),
        ("1.50", None, {"decimal_mark": ",", "thousands": "."}),
        ("1 234,50", 123_450, {"decimal_mark": ",", "thousands": " "}),
        ("1\u202f234,50", 123_450, {"decimal_mark": ",", "thousands": " "}),
        ("1'234.50", 123_450, {"thousands": "'"}),
        ("1,234.50", 123_450, {"thousands": ","}),
        ("12,34,567.50", 123_456_750, {"thousands": ","}),
        ("1,23", None, {"thousands": ","}),
        ("$12.50", 1_250, {"signs": ("$",)}),
        ("-$3", -300, {"signs": ("$",)}),
        ("$-3", -300, {"signs": ("$",)}),
        ("€ 12,50", 1_250, {"decimal_mark": ",", "signs": ("€",)}),
        ("12,50 EUR", 1_250, {"decimal_mark": ",", "signs": ("€", "EUR")}),
        ("(3.00)", -300, {"negative": "parentheses"}),
        ("($1,003.00)", -100_300, {"negative": "parentheses", "signs": ("$",), "thousands": ","}),
        ("3.00-", -300, {"negative": "trailing"}),
        ("--3", None, {"negative": "trailing"}),
    ],
)
def test_amounts_are_read_as_their_writing_is_declared(text, minor, how):
    assert read(pa.array([text]), **how)[0] == [minor]


def _spelt(minor: int, number: NumberFormat, group: bool) -> str:
    units, rest = divmod(abs(minor), 100)
    text = f"{units:,}".replace(",", number.thousands or "") if group else str(units)
    text = f"{text}{number.decimal_mark}{rest:02d}"
    sign = number.signs[0] if number.signs else ""
    if minor >= 0:
        return f"{sign}{text}"
    forms = {"parentheses": f"({sign}{text})", "trailing": f"{sign}{text}-"}
    return forms.get(number.negative or "", f"-{sign}{text}")


@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=1),
    st.sampled_from([".", ","]),
    st.sampled_from([None, ",", ".", " ", "'", "_"]),
    st.sampled_from([(), ("$",), ("CHF", "Fr.")]),
    st.sampled_from([None, "parentheses", "trailing"]),
    st.booleans(),
)
def test_amounts_of_any_declared_writing_are_read_back(minors, mark, thousands, signs, neg, group):
    number = NumberFormat(mark, None if thousands == mark else thousands, signs, neg)
    texts = pa.array([_spelt(minor, number, group) for minor in minors])
    amounts, faults = read_amounts("a", texts, 2, number)
    assert (amounts.to_pylist(), [text for mask, text in faults if mask.any()]) == (minors, [])


@pytest.mark.parametrize(
    ("number", "fault"),
    [(float("nan"), "a: not a number"), (float("inf"), "a: not a number"), (1e20, "a: too large")],
)
def test_floats_that_are_no_amount_are_faults(number, fault):
    amounts, faults = read(pa.array([number]))
    assert amounts == [None]
    assert faults[0] == fault


def test_missing_amounts_stay_missing_without_a_fault():
    assert read(pa.array([None, 1.0])) == ([None, 100], [])
    assert read(pa.array([None, "1"])) == ([None, 100], [])


def test_slices_of_decimals_are_read_at_their_place():
    values = pa.array([Decimal("1.00"), Decimal("2.50"), None]).slice(1)
    assert read(values) == ([250, None], [])


def test_amounts_of_another_type_are_refused():
    with pytest.raises(ContractError, match="came bool"):
        read(pa.array([True]))


@given(st.integers(0, 10**13), st.sampled_from(["USD", "EUR", "JPY", "KWD"]))
def test_settling_is_exact_and_rounds_halves_to_even(minor, code):
    currency = TABLE.known[code]
    worth = Fraction(minor * currency.per_million, 10_000 * 10**currency.digits)
    quotient = Decimal(worth.numerator) / Decimal(worth.denominator)
    expected = int(quotient.quantize(Decimal(1), ROUND_HALF_EVEN))
    assert TABLE.settle(np.array([minor]), code).tolist() == [expected]


def test_products_beyond_63_bits_are_settled_all_the_same():
    dear = Currencies("USD", {"USD": Currency(2), "XAU": Currency(2, 4_000_000_007)})
    settled = dear.settle(np.array([10**10, 3]), "XAU")
    assert settled.tolist() == [40_000_000_070_000, 12_000]


def test_the_settlement_currency_is_worth_itself():
    with pytest.raises(ContractError, match="settlement currency USD must be listed"):
        Currencies("USD", {"USD": Currency(2, 2_000_000)})
