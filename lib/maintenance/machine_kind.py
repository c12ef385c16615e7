"""The kind of machine that a fleet is made of, as a YAML file: sensors, parts, codes, windows."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr

from lib.declaration import load_declaration, read_yaml_text
from lib.declaration.yaml_model import Number, Text
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
        return AssetFeatureSet(**values)


def _sensor(name: str, declared: _Sensor | None) -> Sensor:
    options = {} if declared is None else declared.model_dump(exclude_unset=True)
    unit = options.pop("unit", "")
    limits = {key: None if value is None else float(value) for key, value in options.items()}
    return Sensor(name, unit, **limits)


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
    `bearing` whose faults are looked for, or empty).

    Raises:
        FeatureError: names the line, the key, what was expected and what came.
    """
    kind = load_declaration(text, _Kind, origin, FeatureError)
    try:
        return kind.feature_set()
    except (FeatureError, WaveformError) as error:
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
    return yaml.safe_dump(content, sort_keys=False)
