"""Attributes of machines: the same in files and in memory, frozen with the kind of machine."""

from __future__ import annotations

import json
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

from jobs.maintenance import features as features_job
from jobs.maintenance.features import FeaturesConfig
from lib.contract import ContractError
from lib.feature.attribute_values import attribute_states, encode_attributes
from lib.feature.attributes import Attribute
from lib.maintenance.contracts import MACHINES
from lib.maintenance.dataset import Tables, current_rows
from lib.maintenance.feature_set import DAY_US, AssetFeatureSet, FeatureError, Sensor
from lib.maintenance.features import evaluate
from lib.maintenance.history import History
from lib.maintenance.machine_attributes import (
    attributes_by_machine,
    frozen_attributes,
)
from lib.maintenance.machine_kind import KIND_FILE, kind_text, load_kind, parse_kind
from lib.maintenance.model.fitting import usual_values
from lib.maintenance.model.prediction import Driver, driver_words, feature_groups
from lib.maintenance.rules import rule_fields
from lib.maintenance.state_codec import empty_state, pack, unpack, with_readings
from tests.conftest import on_two_cores
from tests.maintenance.attribute_tables import (
    ATTRIBUTES,
    FEATURES,
    machines_of,
    mapping,
    write_attributes,
)
from tests.maintenance.factories import SMALL, START_US, past
from tests.maintenance.small_fleet import CONFIG

pytestmark = on_two_cores(minutes=5)
MAKE = Attribute("make", "category", encoding="code", vocabulary=("Acme", "Bolt"))
POWER, INDOORS = Attribute("power_class", "number", unit="kW"), Attribute("indoors", "flag")
OWN = replace(SMALL, attributes=(MAKE, POWER, INDOORS))


def row(features: AssetFeatureSet, history: History) -> dict[str, float]:
    values = evaluate(features, history, [START_US + 30 * DAY_US])[0]
    return dict(zip(features.names, values.tolist(), strict=True))


def test_attributes_are_features_behind_those_of_what_happens() -> None:
    sent = {"make": "Bolt", "power_class": 0.1 + 0.2, "indoors": True}
    values = row(OWN, replace(past(3), attributes=sent))
    assert OWN.names == (*SMALL.names, "make_code", "power_class", "indoors")
    assert (values["make_code"], values["power_class"], values["indoors"]) == (2.0, 0.1 + 0.2, 1.0)
    packaged = row(SMALL, past(3))
    np.testing.assert_array_equal([values[name] for name in packaged], list(packaged.values()))


def test_an_unknown_value_is_zero_and_a_missing_one_is_missing() -> None:
    unknown = row(OWN, replace(past(3), attributes={"make": "Cord", "indoors": False}))
    assert (unknown["make_code"], unknown["indoors"]) == (0.0, 0.0)
    assert math.isnan(unknown["power_class"])
    assert np.isnan([row(OWN, past(3))[name] for name in OWN.names[-3:]]).all()
    states = list(attribute_states(OWN.attributes, {"make": "Cord", "indoors": False}))
    assert states == [("make", "unknown"), ("power_class", "missing")]


def test_values_of_another_type_are_missing() -> None:
    swapped = encode_attributes(OWN.attributes, {"make": 2.0, "power_class": True, "indoors": 1.0})
    assert np.isnan(swapped).all()


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text(min_size=1))
def test_what_is_remembered_gives_the_same_bits(number: float, flag: bool, text: str) -> None:
    history = replace(
        past(4).kept(OWN, START_US + 30 * DAY_US),
        attributes={"make": text, "power_class": number, "indoors": flag},
    )
    again = unpack(OWN, pack(OWN, history))
    at = [START_US + 30 * DAY_US]
    assert evaluate(OWN, again, at).tobytes() == evaluate(OWN, history, at).tobytes()
    known = replace(OWN, attributes=(replace(MAKE, vocabulary=(text,)),))
    assert evaluate(known, again, at)[0, -1] == 1.0  # another vocabulary needs no news


def test_memories_are_those_of_the_kind_without_attributes() -> None:
    history = past(3).kept(SMALL, START_US + 30 * DAY_US)
    assert pack(OWN, history) == pack(SMALL, history)
    assert unpack(OWN, pack(SMALL, history)).attributes == {}
    own = replace(history, attributes={"make": "Acme"})
    assert unpack(SMALL, pack(OWN, own)).attributes == {"make": "Acme"}
    later, _ = with_readings(OWN, own, [int(own.times_us[-1]) + 1], np.ones((1, 3)))
    assert later.attributes == {"make": "Acme"}
    with pytest.raises(FeatureError, match="written for other features"):
        unpack(replace(OWN, windows_hours=(24,)), pack(OWN, own))


def test_packaged_features_are_what_they_were() -> None:
    assert load_kind().digest.startswith("3be665ccdbd79be2")
    assert SMALL.digest.startswith("921c665df5adf13a")
    assert SMALL.digest == SMALL.history_digest == OWN.history_digest
    assert "attributes" not in kind_text(SMALL)
    assert b"attributes" not in pack(SMALL, empty_state(SMALL, "m"))


def test_other_vocabularies_are_other_features_and_other_words_are_not() -> None:
    other = replace(OWN, attributes=(replace(MAKE, vocabulary=("Acme",)), POWER, INDOORS))
    worded = replace(OWN, attributes=(replace(MAKE, words="the make"), POWER, INDOORS))
    assert len({each.digest for each in (SMALL, OWN, other)}) == 3
    assert worded.digest == OWN.digest


def test_a_kind_with_attributes_comes_back_from_its_text() -> None:
    odd = replace(MAKE, vocabulary=("yes", "1.5", "2024-01-01", "ü: {", "null"), words="the make")
    kind = replace(OWN, attributes=(odd, replace(POWER, low=0.0, high=1e3), INDOORS))
    assert parse_kind(kind_text(kind)) == kind
    assert parse_kind(kind_text(kind)).digest == kind.digest


BAD_KINDS = [
    ("make: {type: category}", "'make': expected 'vocabulary'"),
    ("power: {type: number, vocabulary: [a]}", "'power': a number has no vocabulary"),
    ("make: {type: categroy}", "did you mean 'category'"),
    ("make: {type: category, vocabulry: []}", "did you mean 'vocabulary'"),
    ("copy: {type: number}", "'copy': is no name of a field in a request"),
    ("load class: {type: number}", "'load class': is no name of a field in a request"),
    ("t: {type: number}", "'t' is the name of a sensor"),
    ("age_hours: {type: number}", "'age_hours' is the name of a packaged feature"),
    ("event: {type: flag}", "'event' is the name of a column of training rows"),
    ("seal: {type: flag}", "'seal' is the name of a component"),
    ("e1: {type: flag}", "'e1' is the name of an error code"),
    ("a: {type: category, vocabulary: []}\n  a_code: {type: number}", "name of another attribute"),
]


@pytest.mark.parametrize(("attributes", "message"), BAD_KINDS)
def test_attributes_of_a_kind_that_cannot_be_meant_are_named(attributes: str, message: str) -> None:
    text = f"sensors: {{t: }}\ncomponents: [seal]\nerror_codes: [e1]\nattributes:\n  {attributes}\n"
    with pytest.raises(FeatureError) as caught:
        parse_kind(text, "k.yaml")
    assert str(caught.value).startswith("k.yaml:")
    assert message in str(caught.value)


def test_rows_of_machines_with_readings_and_without() -> None:
    machines = pa.table(
        {
            "machine_id": ["a", "silent"],
            "installed_at": pa.nulls(2, MACHINES.schema.field("installed_at").type),
            "make": ["Bolt", None],
        }
    )
    assert attributes_by_machine((MAKE,), machines) == {"a": {"make": "Bolt"}, "silent": {}}
    features = AssetFeatureSet((Sensor("t"),), attributes=(MAKE,))
    times = pa.array([START_US, START_US], pa.timestamp("us", "UTC"))
    telemetry = pa.table({"machine_id": ["a", "unlisted"], "event_time": times, "t": [1.0, 2.0]})
    names, rows, _ = current_rows(features, Tables(telemetry, machines=machines), START_US)
    codes = dict(zip(names, rows[:, -1].tolist(), strict=True))
    assert codes["a"] == 2.0
    assert np.isnan([codes["silent"], codes["unlisted"]]).all()
    with pytest.raises(FeatureError, match="machines have no attribute 'make'"):
        current_rows(features, Tables(telemetry, machines=machines.drop_columns("make")), START_US)


def test_drivers_say_attributes_in_words_and_values() -> None:
    worded = replace(OWN, attributes=(replace(MAKE, words="make of it"), POWER, INDOORS))
    groups = feature_groups(worded)
    assert [groups[name] for name in ("make of it", "power class", "indoors")] == [
        [len(SMALL.names) + number] for number in range(3)
    ]
    assert sorted(column for each in groups.values() for column in each) == list(
        range(len(worded.names))
    )
    drivers = [
        (
            Driver("make of it", 0.1, "make_code", 2.0, 1.0),
            "raises the risk: it is Bolt, usually Acme",
        ),
        (Driver("make of it", -0.1, "make_code", 0.0, 1.0), "it is another value, usually Acme"),
        (Driver("power class", 0.1, "power_class", None, 7.5), "it is unknown, usually 7.5"),
        (Driver("indoors", 0.1, "indoors", 0.0, 1.0), "it is no, usually yes"),
        (Driver("seal", 0.1, "age_hours", 2.0, 1.0), "age_hours is 2, usually 1"),
    ]
    for driver, words in drivers:
        assert words in driver_words(worded, driver)
    same = replace(POWER, name="indoors_too", words="indoors")
    assert {"indoors_too", "indoors"} <= set(
        feature_groups(replace(OWN, attributes=(INDOORS, same)))
    )


def test_the_most_frequent_code_is_usual() -> None:
    codes = np.array([1.0, 3.0, 3.0, 1.0, 3.0, 2.0, np.nan])
    usual, _ = usual_values(np.column_stack([codes, codes]), codes=(1,))
    assert usual.tolist() == [2.5, 3.0]


def test_rules_read_categories_as_texts() -> None:
    fields = rule_fields(OWN)
    assert (fields["make"], fields["make_code"], fields["indoors"]) == (str, float, float)
    assert "make" not in rule_fields(SMALL)


@pytest.fixture(scope="module")
def own(small_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_attributes(small_fleet, tmp_path_factory.mktemp("attributes"))


def config_of(fleet: Path, own: dict[str, str], output: Path, **changes: Any) -> FeaturesConfig:
    filled: dict[str, Any] = {
        "telemetry": str(fleet / "telemetry"),
        "mapping_telemetry": str(fleet / "telemetry.yaml"),
        "kind": str(KIND_FILE),
        "every_hours": 240.0,
        "output": str(output),
        "progress": "none",
        **{name: str(fleet / f"{name}.parquet") for name in ("errors", "maintenance", "failures")},
        **own,
        **changes,
    }
    return FeaturesConfig(**filled)


def rows_of(output: Path) -> pa.Table:
    return pq.read_table(output / "data").sort_by(
        [("machine_id", "ascending"), ("event_time", "ascending")]
    )


def test_jobs_compute_attributes_of_a_mapping_file(
    small_fleet: Path, own: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features_job.main(config_of(small_fleet, own, tmp_path / "out"))
    note = json.loads((tmp_path / "out" / "features.json").read_text())
    assert note["features"] == [*CONFIG.features.names, *FEATURES]
    kind = load_kind(tmp_path / "out" / "kind.yaml")
    assert kind.digest == note["feature_set_digest"]
    assert [(each.name, each.vocabulary) for each in kind.attributes] == [
        ("make", ("Acme", "Bolt")),
        ("load_class", ("heavy", "light")),
        *((name, ()) for name in ("rated_power", "indoors", "alignment")),
    ]
    assert kind == replace(
        CONFIG.features, attributes=frozen_attributes(ATTRIBUTES, machines_of(small_fleet))
    )
    rows = rows_of(tmp_path / "out")
    expected = attributes_by_machine(kind.attributes, machines_of(small_fleet))
    matrix = np.column_stack([rows[name].to_numpy() for name in FEATURES])
    for machine, values in zip(rows["machine_id"].to_pylist(), matrix, strict=True):
        np.testing.assert_array_equal(values, encode_attributes(kind.attributes, expected[machine]))
    assert set(np.unique(rows["make_code"].to_numpy())[:3]) == {0.0, 1.0, 2.0}
    assert rows["make_code"].null_count + int(np.isnan(rows["make_code"].to_numpy()).sum()) > 0
    # a kind that declares attributes keeps its vocabularies, whatever the machines show
    fewer = replace(kind, attributes=(replace(kind.attributes[0], vocabulary=("Bolt",)),))
    (tmp_path / "kind.yaml").write_text(kind_text(fewer))
    capsys.readouterr()
    changes = {"kind": str(tmp_path / "kind.yaml")}
    features_job.main(config_of(small_fleet, own, tmp_path / "fewer", **changes))
    note = json.loads((tmp_path / "fewer" / "features.json").read_text())
    assert note["feature_set_digest"] == fewer.digest
    assert "attribute 'load_class': the kind of machine declares others" in capsys.readouterr().out
    codes = rows_of(tmp_path / "fewer")["make_code"].to_numpy()
    np.testing.assert_array_equal(codes == 1.0, matrix[:, 0] == 2.0)


BAD: list[tuple[str, str]] = [
    ("  rpm: {from: alignment, type: number}", r"machines.yaml:3: .*'rpm' is the name of a sensor"),
    ("  age_hours: {from: alignment, type: number}", r"machines.yaml:3: .*packaged feature"),
    ("  plant: {from: MAKE, type: category}", r"machines.yaml:3.*'plant' is a column of"),
    ("  make: {from: MAKE, type: categroy}", r"machines.yaml:3.*did you mean 'category'"),
    ("  make: {from: MAKER, type: category}", r"did you mean 'MAKE'"),
]


@pytest.mark.parametrize(("attributes", "message"), BAD)
def test_bad_attributes_are_refused_before_anything_is_read(
    small_fleet: Path, own: dict[str, str], tmp_path: Path, attributes: str, message: str
) -> None:
    changed = changed_mapping(own, tmp_path, attributes)
    for kind in (str(KIND_FILE), None):
        config = config_of(small_fleet, own, tmp_path / "out", mapping_machines=changed, kind=kind)
        with pytest.raises(ContractError, match=message):
            config.check()


def changed_mapping(own: dict[str, str], folder: Path, attributes: str) -> str:
    """A mapping file of the machines with other attributes."""
    changed = folder / "machines.yaml"
    changed.write_text(mapping(pq.read_schema(own["machines"]).names, attributes))
    return str(changed)


def test_an_identifier_is_refused_with_its_line(
    small_fleet: Path, own: dict[str, str], tmp_path: Path
) -> None:
    table = pq.read_table(own["machines"])
    serials = [f"serial {k}" for k in range(40)]
    many = pa.concat_tables([table] * 3).slice(0, 40)
    names = pa.array([*table["machine_id"].to_pylist(), *serials[table.num_rows :]])
    many = many.set_column(0, "machine_id", names).append_column("serial", pa.array(serials))
    pq.write_table(many, tmp_path / "machines.parquet")
    changed = changed_mapping(own, tmp_path, "  serial: {from: serial, type: category}")
    config = config_of(
        small_fleet,
        own,
        tmp_path / "out",
        machines=str(tmp_path / "machines.parquet"),
        mapping_machines=changed,
    )
    with pytest.raises(ContractError, match=r"machines.yaml:3: .*'serial'.*got 40"):
        features_job.write_features(config)


def test_data_that_lacks_an_attribute_of_a_kind_is_refused(
    small_fleet: Path, own: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "kind.yaml").write_text(kind_text(replace(CONFIG.features, attributes=(POWER,))))
    kind = str(tmp_path / "kind.yaml")
    config = config_of(small_fleet, own, tmp_path / "out", kind=kind)
    with pytest.raises(ContractError, match=r"attribute 'power_class' \(number\).*machines"):
        config.check()
    bare = replace(config, machines=None, mapping_machines=None)
    with pytest.raises(ContractError, match=r"--machines is missing.*'power_class'"):
        bare.check()
