"""The kind of machine that a fleet is made of, as a YAML file: sensors, parts, codes, windows."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr

from lib.contract.attribute_section import RESERVED_NAMES, AttributeType
from lib.declaration import load_declaration, read_yaml_text
from lib.declaration.yaml_model import Number, Text
from lib.feature.attributes import Attribute, AttributeFaultError
from lib.maintenance.feature_set import AssetFeatureSet, FeatureError, Sensor, Waveforms
from lib.maintenance.waveform import Bearing, WaveformError

KIND_FILE = Path(__file__).with_name("kind.yaml")
"""The presses of the simulated fleet."""


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sensor(_Declared):
    unit: StrictStr = ""
    low: Number | None = None
    high: Number | None = None
    stuck_hours: Number | None = None


class _Operating(_Declared):
    sensor: Text
    above: Number


class _Bearing(_Declared):
    balls: StrictInt
    ball_mm: Number
    pitch_mm: Number
    contact_deg: Number = 0.0


class _Waveforms(_Declared):
    bearing: _Bearing | None = None


class _Attribute(_Declared):
    type: AttributeType
    unit: StrictStr = ""
    words: StrictStr = ""
    low: Number | None = None
    high: Number | None = None
    vocabulary: tuple[Text, ...] | None = None


class _Kind(_Declared):
    sensors: dict[Text, _Sensor | None]
    components: tuple[Text, ...] = ()
    error_codes: tuple[Text, ...] = ()
    windows_hours: tuple[StrictInt, ...] = ()
    trailing_hours: StrictInt = 0
    error_windows_hours: tuple[StrictInt, ...] = ()
    interval_hours: Number = 0
    correlations: tuple[tuple[Text, Text], ...] = ()
    operating: _Operating | None = None
    waveforms: _Waveforms | None = None
    attributes: dict[Text, _Attribute] = {}

    def feature_set(self) -> AssetFeatureSet:
        values = {name: getattr(self, name) for name in self.model_fields_set}
        values["sensors"] = tuple(_sensor(*item) for item in self.sensors.items())
        if "interval_hours" in values:
            values["interval_hours"] = float(self.interval_hours)
        if self.operating is not None:
            values["operating"] = self.operating.sensor, float(self.operating.above)
        if self.waveforms is not None:
            bearing = self.waveforms.bearing
            options = None if bearing is None else bearing.model_dump(exclude_unset=True)
            values["waveforms"] = Waveforms(None if options is None else Bearing(**options))
        values["attributes"] = tuple(_attribute(*item) for item in self.attributes.items())
        return AssetFeatureSet(**values)


def _sensor(name: str, declared: _Sensor | None) -> Sensor:
    options = {} if declared is None else declared.model_dump(exclude_unset=True)
    unit = options.pop("unit", "")
    limits = {key: None if value is None else float(value) for key, value in options.items()}
    return Sensor(name, unit, **limits)


def _attribute(name: str, declared: _Attribute) -> Attribute:
    is_category = declared.type == "category"
    if not name.isidentifier() or name.startswith("_") or name in RESERVED_NAMES:
        raise AttributeFaultError(name, "is no name of a field in a request; give it another name")
    if is_category and declared.vocabulary is None:
        raise AttributeFaultError(name, "expected 'vocabulary', the values with a code")
    if not is_category and declared.vocabulary is not None:
        raise AttributeFaultError(name, f"a {declared.type} has no vocabulary")
    options = declared.model_dump(exclude_unset=True)
    for bound in ("low", "high"):
        if options.get(bound) is not None:
            options[bound] = float(options[bound])
    return Attribute(name, **options, encoding="code" if is_category else "value")


def load_kind(path: str | Path | None = None) -> AssetFeatureSet:
    """The feature set in a file; None takes the simulated fleet's.

    Raises:
        FeatureError: the file cannot be read, or a key in it is not what it has to be.
    """
    file = KIND_FILE if path is None else Path(path)
    return parse_kind(read_yaml_text(file, f"kind of machine: {file}", FeatureError), str(file))


def parse_kind(text: str, origin: str = "kind.yaml") -> AssetFeatureSet:
    """The feature set that a YAML text declares.

    Keys: `sensors` (name to unit, low, high, stuck_hours), and optionally `components`,
    `error_codes`, `windows_hours`, `trailing_hours`, `error_windows_hours`, `interval_hours`,
    `correlations` (pairs of sensors), `operating` (`sensor` and `above`), `waveforms` (with the
    `bearing` whose faults are looked for, or empty), `attributes` of machines (name to type, unit,
    words, low, high, and of a category the `vocabulary`).

    Raises:
        FeatureError: names the line, the key, what was expected and what came.
    """
    kind = load_declaration(text, _Kind, origin, FeatureError)
    try:
        return kind.feature_set()
    except (FeatureError, WaveformError, AttributeFaultError) as error:
        raise FeatureError(f"{origin}: {error}") from error


def kind_text(features: AssetFeatureSet) -> str:
    """YAML that `parse_kind` reads back as the same feature set."""
    sensors = {
        sensor.name: {
            name: value
            for name in ("unit", "low", "high", "stuck_hours")
            if (value := getattr(sensor, name)) not in (None, "")
        }
        for sensor in features.sensors
    }
    content: dict[str, Any] = {
        "sensors": sensors,
        "components": list(features.components),
        "error_codes": list(features.error_codes),
        "windows_hours": list(features.windows_hours),
        "trailing_hours": features.trailing_hours,
        "error_windows_hours": list(features.error_windows_hours),
        "interval_hours": features.interval_hours,
        "correlations": [list(pair) for pair in features.correlations],
    }
    if features.operating is not None:
        content["operating"] = {"sensor": features.operating[0], "above": features.operating[1]}
    if features.waveforms is not None:
        bearing = features.waveforms.bearing
        content["waveforms"] = {} if bearing is None else {"bearing": asdict(bearing)}
    if features.attributes:
        content["attributes"] = {each.name: _written(each) for each in features.attributes}
    return yaml.safe_dump(content, sort_keys=False)


def _written(attribute: Attribute) -> dict[str, Any]:
    """An attribute as YAML has it: what it says beside the defaults."""
    written = {
        name: value
        for name in ("type", "unit", "words", "low", "high")
        if (value := getattr(attribute, name)) not in (None, "")
    }
    if attribute.type == "category":
        written["vocabulary"] = list(attribute.vocabulary)
    return written
