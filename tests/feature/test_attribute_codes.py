"""Codes of categories of customers and machines, and the differences of lists of attributes."""

import math
from dataclasses import replace

import pyarrow as pa
import pytest

from lib.feature.attribute_codes import (
    attribute_difference,
    attribute_texts,
    frozen_by_subject,
    text_of_code,
)
from lib.feature.attributes import Attribute, AttributeFaultError

CITY = Attribute("city", "category")
MAKE = Attribute("make", "category", encoding="code", vocabulary=("Acme", "Bolt"))
OWN = (MAKE, Attribute("power", "number", unit="kW"), Attribute("indoors", "flag"))


def customers_with(values: dict[str | None, int], first: int = 0) -> pa.Table:
    """Customers with a city, as many of each value."""
    cities = [city for city, count in values.items() for _ in range(count)]
    names = [f"c{first + k}" for k in range(len(cities))]
    return pa.table({"customer_id": names, "city": pa.array(cities, pa.string())})


def test_values_of_few_subjects_have_no_code() -> None:
    few = customers_with({"rome": 4}, first=90)
    rows = pa.concat_tables([customers_with({"paris": 5, "oslo": 5, None: 9}), few, few])
    number = Attribute("power", "number")
    frozen = frozen_by_subject((CITY, number), rows, "customer_id", 5)
    assert frozen[0].vocabulary == ("oslo", "paris")  # the same four twice are four
    assert (frozen[0].encoding, frozen[1]) == ("code", number)
    (more,) = frozen_by_subject((CITY,), rows, "customer_id", 4)
    assert more.vocabulary == ("oslo", "paris", "rome")


def test_no_table_shows_no_value() -> None:
    (frozen,) = frozen_by_subject((CITY,), None, "customer_id", 5)
    assert (frozen.encoding, frozen.vocabulary) == ("code", ())


@pytest.mark.parametrize(("id_column", "subjects"), [("customer_id", "customers"), ("x_id", "xs")])
def test_a_category_of_too_many_values_is_refused_by_name_and_count(
    id_column: str, subjects: str
) -> None:
    many = customers_with({f"city {k}": 1 for k in range(31)}).rename_columns([id_column, "city"])
    words = rf"'city'.*at most 30 values, got 31 among the {subjects}; group"
    with pytest.raises(AttributeFaultError, match=words):
        frozen_by_subject((CITY,), many, id_column, 1)


def test_codes_are_texts_for_rules() -> None:
    texts = [attribute_texts(OWN, {"make_code": code}) for code in (2.0, 0.0, math.nan)]
    assert texts == [{"make": "Bolt"}, {"make": None}, {"make": None}]
    assert attribute_texts(OWN, {}) == {"make": None}
    assert text_of_code(MAKE, None) is None


def test_differences_are_named_by_attribute() -> None:
    other = (replace(MAKE, vocabulary=("Acme",)), *OWN[1:])
    differs = attribute_difference(OWN, other, with_words=False)
    assert differs == "attribute 'make': category (values Acme|Bolt) against category (values Acme)"
    assert "attribute 'power': number (unit kW) against none" in attribute_difference(
        OWN, (), with_words=False
    )
    turned = attribute_difference(OWN, OWN[::-1], with_words=True)
    assert turned == "attributes: make, power, indoors against indoors, power, make"


def test_other_words_are_a_difference_where_they_count() -> None:
    worded = (replace(MAKE, words="the make"), *OWN[1:])
    assert attribute_difference(OWN, worded, with_words=False) == ""
    differs = attribute_difference(OWN, worded, with_words=True)
    assert differs.startswith("attribute 'make': ")
    assert "words the make" in differs
