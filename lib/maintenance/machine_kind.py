"""The kind of machine that a fleet is made of, as a YAML file: sensors, parts, codes, windows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from lib.contract import ContractError
from lib.contract.yaml_document import read_yaml, read_yaml_text
from lib.maintenance.feature_set import AssetFeatureSet, FeatureError, Sensor, Waveforms
from lib.maintenance.waveform import Bearing, WaveformError

KIND_FILE = Path(__file__).with_name("kind.yaml")
"""The presses of the simulated fleet."""

_NUMBERS = (int, float)


def load_kind(path: str | Path | None = None) -> AssetFeatureSet:
    """The feature set in a file; None takes the simulated fleet's.

    Raises:
        FeatureError: the file cannot be read, or a key in it is not what it has to be.
    """
    file = KIND_FILE if path is None else Path(path)
    try:
        text = read_yaml_text(file)
    except (OSError, ContractError) as error:
        raise FeatureError(f"kind of machine: {file}: {error}") from error
    return parse_kind(text, str(file))


def parse_kind(text: str, origin: str = "kind.yaml") -> AssetFeatureSet:
    """The feature set that a YAML text declares.

    Keys: `sensors` (name to unit, low, high, stuck_hours), and optionally `components`,
    `error_codes`, `windows_hours`, `trailing_hours`, `error_windows_hours`, `interval_hours`,
    `correlations` (pairs of sensors), `operating` (`sensor` and `above`), `waveforms` (with the
    `bearing` whose faults are looked for, or empty).

    Raises:
        FeatureError: names the key, what was expected and what came.
    """
    try:
        content = read_yaml(text, origin)
    except ContractError as error:
        raise FeatureError(str(error)) from error
    if not isinstance(content, dict):
        raise FeatureError(f"{origin}: expected keys as 'name: value', got {_short_repr(content)}")
    field_names = [field.name for field in fields(AssetFeatureSet)]
    for key in content:
        if key not in field_names:
            raise FeatureError(f"{origin}: unknown key {key!r}{_hint(str(key), field_names)}")
    if "sensors" not in content:
        raise FeatureError(f"{origin}: expected 'sensors', a machine without one says nothing")
    try:
        values = {key: _READERS[key](value) for key, value in content.items()}
        return AssetFeatureSet(**values)
    except FeatureError as error:
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


def _sensors(value: Any) -> tuple[Sensor, ...]:
    return tuple(_sensor(str(name), about) for name, about in _object("sensors", value).items())


def _sensor(name: str, about: Any) -> Sensor:
    options = {} if about is None else _object(f"sensors.{name}", about)
    option_names = ["unit", "low", "high", "stuck_hours"]
    for key, value in options.items():
        if key not in option_names:
            raise FeatureError(
                f"sensors.{name}: unknown key {key!r}{_hint(str(key), option_names)}"
            )
        if key == "unit":
            _expect(f"sensors.{name}.unit", value, str)
        elif value is not None:
            _expect(f"sensors.{name}.{key}", value, _NUMBERS)
    limits = {key: None if value is None else float(value)
              for key, value in options.items() if key != "unit"}  # fmt: skip
    return Sensor(name, str(options.get("unit", "")), **limits)


def _operating(value: Any) -> tuple[str, float] | None:
    if value is None:
        return None
    options = _object("operating", value)
    if set(options) != {"sensor", "above"}:
        raise FeatureError(f"operating: expected the keys sensor and above, got {list(options)}")
    _expect("operating.above", options["above"], _NUMBERS)
    return str(options["sensor"]), float(options["above"])


def _waveforms(value: Any) -> Waveforms | None:
    if value is None:
        return None
    options = _object("waveforms", value)
    if set(options) - {"bearing"}:
        raise FeatureError(f"waveforms: expected the key bearing or none, got {list(options)}")
    if options.get("bearing") is None:
        return Waveforms()
    about, field_names = (
        _object("waveforms.bearing", options["bearing"]),
        [f.name for f in fields(Bearing)],
    )
    for key, number in about.items():
        if key not in field_names:
            raise FeatureError(
                f"waveforms.bearing: unknown key {key!r}{_hint(str(key), field_names)}"
            )
        _expect(f"waveforms.bearing.{key}", number, int if key == "balls" else _NUMBERS)
    try:
        return Waveforms(Bearing(**about))
    except (TypeError, WaveformError) as error:
        raise FeatureError(f"waveforms.bearing: {error}") from error


def _correlations(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = _list("correlations", value)
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise FeatureError(f"correlations: expected pairs of sensors, got {_short_repr(pair)}")
    return tuple((str(first), str(second)) for first, second in pairs)


def _texts(name: str) -> Callable[[Any], tuple[str, ...]]:
    return lambda value: tuple(str(entry) for entry in _list(name, value))


def _hours(name: str) -> Callable[[Any], tuple[int, ...]]:
    def read(value: Any) -> tuple[int, ...]:
        for hour in (hours := _list(name, value)):
            _expect(name, hour, int)
        return tuple(hours)

    return read


def _number(name: str, kind: type[int] | type[float]) -> Callable[[Any], Any]:
    def read(value: Any) -> int | float:
        _expect(name, value, int if kind is int else _NUMBERS)
        return kind(value)

    return read


def _object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FeatureError(f"{name}: expected keys as 'name: value', got {_short_repr(value)}")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FeatureError(f"{name}: expected a list, got {_short_repr(value)}")
    return value


def _expect(name: str, value: Any, kind: type | tuple[type, ...]) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        type_text = "a text" if kind is str else "a whole number" if kind is int else "a number"
        raise FeatureError(f"{name}: expected {type_text}, got {_short_repr(value)}")


def _short_repr(value: Any) -> str:
    return repr(value)[:60]


def _hint(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"


_READERS: dict[str, Callable[[Any], Any]] = {
    "sensors": _sensors,
    "components": _texts("components"),
    "error_codes": _texts("error_codes"),
    "windows_hours": _hours("windows_hours"),
    "trailing_hours": _number("trailing_hours", int),
    "error_windows_hours": _hours("error_windows_hours"),
    "interval_hours": _number("interval_hours", float),
    "correlations": _correlations,
    "operating": _operating,
    "waveforms": _waveforms,
}
