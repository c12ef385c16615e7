"""Attributes of customers: the newest row that was known counts, the same in files and profiles."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.churn import features as features_job
from jobs.churn.sources import read_stream
from lib.churn.customer_attributes import (
    attribute_columns,
    attribute_values,
    customers_contract,
)
from lib.churn.events import content_of, probes, schema_of, stream
from lib.churn.features import churn_features, group_of
from lib.churn.formulas import number_of
from lib.churn.profiles import online_features
from lib.churn.reasons import reasons_of, words_for
from lib.churn.snapshots import features_at
from lib.churn.vocabulary import ChurnError, CustomerVocabulary, parse_vocabulary
from lib.contract import ContractError
from lib.feature import ProfileStore, events
from lib.feature.attributes import Attribute, AttributeFaultError
from tests.churn.attribute_tables import (
    ATTRIBUTES,
    NUMBERS,
    base_of,
    mapping,
    with_attributes,
    with_numbers,
    write_attributes,
)
from tests.churn.changed_customers import write_accounts
from tests.churn.replayed_customers import (
    config_of,
    require_no_future,
    require_parity,
    require_same_in_partitions,
)
from tests.churn.tables import BASE, SIGNED, at, us, world
from tests.conftest import on_two_cores

pytestmark = on_two_cores(minutes=5)
REGION = Attribute("region", "category", encoding="code", vocabulary=("north", "south"))
OWN = replace(
    BASE,
    attributes=(REGION, Attribute("addons", "number", unit="add-ons"), Attribute("sso", "flag")),
)


def features(when: Any, *rows: dict[str, Any]) -> dict[str, float]:
    """The features of c1 as of a moment, from rows of `customers`."""
    contract = customers_contract(OWN)
    filled = [{"customer_id": "c1", **SIGNED, **row} for row in rows]
    columns = {
        column.name: pa.array([row.get(column.name) for row in filled], column.type)
        for column in contract.columns
    }
    checked = contract.check(pa.table(columns))
    assert not checked.reasons
    happened = stream({"customers": checked.good}, OWN)
    row = features_at(OWN, happened, ["c1"], np.array([us(when)]))[0]
    return dict(zip(churn_features(OWN).names, row.tolist(), strict=True))


def test_the_newest_row_that_was_known_says_the_attributes() -> None:
    first = {"region": "south", "addons": 2.5, "sso": True}
    later = {"event_time": at(3, 1), "known_at": at(4, 1), "region": "north", "addons": -0.1}
    before, between, after = (
        features(when, first, later) for when in (at(2, 1), at(3, 15), at(4, 2))
    )
    for known in (before, between):
        assert (known["region_code"], known["addons"], known["sso"]) == (2.0, 2.5, 1.0)
    assert (after["region_code"], after["addons"]) == (1.0, -0.1)
    assert math.isnan(after["sso"])  # the newest row says nothing of it, as of a segment


def test_a_value_without_a_code_is_unknown_and_no_value_is_missing() -> None:
    unknown = features(at(2, 1), {"region": "west", "sso": False})
    assert (unknown["region_code"], unknown["sso"]) == (0.0, 0.0)
    assert math.isnan(features(at(2, 1), {})["region_code"])
    assert math.isnan(features(at(2, 1), {})["addons"])
    assert math.isnan(features(at(1, 1), {"addons": 1.0})["addons"])  # nothing is known yet


NUMBER_ALONE = CustomerVocabulary(attributes=(Attribute("x", "number"),))


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=30))
def test_numbers_of_any_size_are_kept_to_the_bit(numbers: list[float]) -> None:
    table = pa.table({"x": pa.array(numbers, pa.float64())})
    kept = [
        column.to_numpy().astype(np.float64)
        for column in attribute_values(NUMBER_ALONE, table).values()
    ]
    offline = number_of(*kept)
    online = [number_of(*pair) for pair in zip(*(each.tolist() for each in kept), strict=True)]
    np.testing.assert_array_equal(offline, np.array(numbers))
    np.testing.assert_array_equal(np.array(online), offline)
    assert max(abs(each).max() for each in kept) < 2**53


def own_world(numbers: bool) -> tuple[dict[str, pa.Table], CustomerVocabulary]:
    _, plain = world(60, 260)
    customers = with_attributes(plain["customers"], plain["churn"]["customer_id"].combine_chunks())
    attributes = ATTRIBUTES
    if numbers:
        customers = with_numbers(customers)
        attributes += tuple(Attribute(name, "number") for name in NUMBERS)
    tables = {**plain, "customers": customers}
    return tables, base_of(tables, attributes)


@pytest.mark.parametrize("numbers", [False, True])
def test_profiles_give_the_values_of_files_to_the_bit(
    numbers: bool, profile_store: ProfileStore
) -> None:
    tables, base = own_world(numbers)
    offline, declared = require_parity(tables, base, profile_store), churn_features(base)
    own = [declared.names.index(each.feature_name) for each in base.attributes]
    assert np.isfinite(offline[:, own]).mean() > 0.7


def test_nothing_later_than_the_moment_changes_an_attribute() -> None:
    tables, base = own_world(False)
    require_no_future(tables, base)


REFUSED_NAMES = [
    (Attribute("usage_7d", "number"), "name of a packaged feature"),
    (Attribute("segment", "category"), "name of a packaged feature"),
    (Attribute("label", "number"), "column of training rows"),
    (Attribute("notice_at", "flag"), "column of training rows"),
    (Attribute("as_of", "number"), "column of training rows"),
    (Attribute("closed", "flag"), "something that events say"),
    (Attribute("zip_code", "number"), "those of categories"),
]


@pytest.mark.parametrize(("attribute", "message"), REFUSED_NAMES)
def test_a_name_that_is_taken_is_refused(attribute: Attribute, message: str) -> None:
    with pytest.raises(AttributeFaultError, match=message):
        churn_features(CustomerVocabulary(attributes=(attribute,)))


def test_packaged_features_and_their_profiles_are_what_they_were() -> None:
    packaged = CustomerVocabulary()
    assert churn_features(packaged).digest.startswith("4c993e2999704ee1")
    assert churn_features(BASE).digest.startswith("d354670e6eee197e")
    assert online_features(BASE).name == "churn-77280927"
    assert "attributes" not in packaged.to_yaml()
    assert attribute_columns(packaged) == ()


def test_other_vocabularies_are_other_features_in_other_profiles() -> None:
    other = replace(OWN, attributes=(replace(REGION, vocabulary=("north",)), *OWN.attributes[1:]))
    assert churn_features(other).digest != churn_features(OWN).digest
    assert len({online_features(base).name for base in (BASE, OWN, other)}) == 3
    says = OWN.difference(other)
    assert (
        says == "attribute 'region': category (values north|south) against category (values north)"
    )
    assert "attribute 'addons': number (unit add-ons) against none" in OWN.difference(BASE)
    turned = replace(OWN, attributes=OWN.attributes[::-1])
    assert OWN.difference(turned) == "attributes: region, addons, sso against sso, addons, region"


def test_a_base_with_attributes_comes_back_from_its_file() -> None:
    assert parse_vocabulary(OWN.to_yaml()) == OWN
    with pytest.raises(ChurnError, match="did you mean 'vocabulary'"):
        parse_vocabulary(OWN.to_yaml().replace("vocabulary:", "vocabulry:"))
    with pytest.raises(ChurnError, match="'sso' is listed twice"):
        replace(OWN, attributes=(OWN.attributes[2], OWN.attributes[2]))


def test_the_same_row_with_another_attribute_is_other_content() -> None:
    happened = events(schema_of(OWN).empty_table())
    assert happened == []
    (event,) = events(probes(["c1"], np.array([us(at(2, 1))]), OWN))
    assert content_of(event) == content_of(dict(event))
    assert content_of(event) != content_of({**event, "attribute:region": 2})


def test_reasons_say_attributes_in_words_and_values() -> None:
    names = churn_features(OWN).names
    row, usual = np.zeros(len(names)), np.ones(len(names))
    row[names.index("region_code")], row[names.index("addons")] = 2.0, 2.5
    adds = np.zeros(len(names))
    for number, name in enumerate(("region_code", "addons", "sso")):
        adds[names.index(name)] = 3.0 - number
    reasons = reasons_of(names, row, adds, usual, OWN)
    assert [reason.words for reason in reasons] == [
        "region: south; raises the risk",
        "addons: 2.5, usually 1; raises the risk",
        "sso: no; raises the risk",
    ]
    assert {reason.group for reason in reasons} == {"contract"}
    assert "region_code" not in group_of()
    named = replace(OWN, attributes=(replace(REGION, words="sales region"),))
    assert words_for("region_code", named) == "sales region"
    row[names.index("region_code")] = 0.0
    assert reasons_of(names, row, adds, usual, OWN)[0].words.startswith("region: another value;")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("attributes")
    return write_attributes(write_accounts(folder / "plain", days=300), folder / "own")


def test_jobs_compute_attributes_of_a_mapping_file(options: dict[str, str], tmp_path: Path) -> None:
    note = require_same_in_partitions(options, tmp_path)
    base = parse_vocabulary(note["base"])
    assert [(each.name, each.vocabulary) for each in base.attributes] == [
        ("contract_type", ("monthly", "multi-year", "yearly")),
        ("region", ("east", "north", "south")),
        *((name, ()) for name in ("addons", "has_sso", "discount")),
    ]
    assert note["features"][-5:] == [each.feature_name for each in base.attributes]
    rows = pq.read_table(tmp_path / "1" / "data")
    assert set(np.unique(rows["has_sso"].drop_null())) >= {0.0, 1.0}
    source = pq.read_table(options["customers"])
    pairs = set(zip(source["customer_id"].to_pylist(), source["discount"].to_pylist(), strict=True))
    names, values = (rows[name].to_pylist() for name in ("customer_id", "discount"))
    assert set(zip(names, values, strict=True)) <= pairs


BAD: list[tuple[str, str]] = [
    ("  mrr: {from: discount, type: number}", r"customers.yaml:14: .*attribute 'mrr'.*packaged"),
    ("  plan: {from: KIND, type: category}", r"customers.yaml:\d+.*'plan' is a column of"),
    ("  kind: {from: KIND, type: categroy}", r"customers.yaml:\d+.*did you mean 'category'"),
    ("  kind: {from: KINDS, type: category}", r"did you mean 'KIND'"),
]


@pytest.mark.parametrize(("attributes", "message"), BAD)
def test_bad_attributes_are_refused_before_anything_is_read(
    options: dict[str, str], tmp_path: Path, attributes: str, message: str
) -> None:
    changed = tmp_path / "customers.yaml"
    changed.write_text(mapping(attributes))
    with pytest.raises(ContractError, match=message):
        config_of(options, tmp_path / "out", mapping_customers=str(changed)).check()


def test_an_identifier_is_refused_with_its_line(options: dict[str, str], tmp_path: Path) -> None:
    changed = tmp_path / "customers.yaml"
    changed.write_text(mapping("  account: {from: customer_id, type: category}"))
    config = config_of(options, tmp_path / "out", mapping_customers=str(changed))
    with pytest.raises(ContractError, match=r"customers.yaml:14: .*'account'.*got 150"):
        features_job.write_features(config)


def test_data_that_lacks_an_attribute_of_a_model_is_refused(
    options: dict[str, str], tmp_path: Path
) -> None:
    changed = tmp_path / "customers.yaml"
    changed.write_text(mapping("  region: {from: region, type: category}"))
    config = config_of(options, tmp_path / "out", mapping_customers=str(changed))
    with pytest.raises(
        ContractError, match=r"model reads attribute 'addons' \(number\).*customers"
    ):
        read_stream(config, str(tmp_path / "quarantine"), OWN)
