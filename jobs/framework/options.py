"""Options of a job: a frozen dataclass, filled from the command line and a YAML file."""

import dataclasses
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import tyro

from lib.declaration import read_yaml, read_yaml_text

Options = TypeVar("Options")
_FLAG = "--config"


def read_options(kind: type[Options], arguments: Sequence[str] | None = None) -> Options:
    """Options of `kind` from the command line; `--config FILE` gives other defaults in YAML.

    The YAML has the field names as keys, nested as the dataclasses are; what is also given on the
    command line wins. An unknown key ends the program with a suggestion.

    Args:
        kind: a dataclass with a docstring under each field, or a union of them, of which the first
            argument names one.
        arguments: of the command line; None takes those of the program.
    """
    command_line = list(sys.argv[1:] if arguments is None else arguments)
    command_line, file = _without_config(command_line)
    if file is None:
        return tyro.cli(kind, args=command_line)
    kind, command_line = _command(kind, command_line)
    try:
        default = _filled(kind, _yaml_object(file), file)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {_FLAG}: {error}") from error
    return tyro.cli(kind, args=command_line, default=default)


def _command(kind: Any, arguments: list[str]) -> tuple[Any, list[str]]:
    """The dataclass of a union that the first argument names, and the arguments behind it."""
    commands = {command.__name__.lower(): command for command in dataclasses_of(kind)}
    if kind in commands.values():
        return kind, arguments
    if not arguments or arguments[0] not in commands:
        word = repr(arguments[0]) if arguments else "nothing"
        raise SystemExit(f"error: expected one of {', '.join(commands)} first, got {word}")
    return commands[arguments[0]], arguments[1:]


def dataclasses_of(kind: Any) -> list[type]:
    """The dataclasses of a union, annotated or not; of one dataclass itself."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return [kind]
    return [member for part in get_args(kind) for member in dataclasses_of(part)]


def _without_config(command_line: list[str]) -> tuple[list[str], str | None]:
    """Arguments without `--config FILE`, and the file."""
    for index, word in enumerate(command_line):
        if word.startswith(_FLAG + "="):
            return command_line[:index] + command_line[index + 1 :], word.split("=", 1)[1]
        if word == _FLAG and index + 1 < len(command_line):
            return command_line[:index] + command_line[index + 2 :], command_line[index + 1]
    return command_line, None


def _yaml_object(file: str) -> Mapping[str, Any]:
    content = read_yaml(read_yaml_text(Path(file)), file) or {}
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected options as 'name: value', got a list or one value")
    return content


def _filled(kind: type[Any], content: Mapping[str, Any], origin: str) -> Any:
    """A dataclass with the values of `content`; fields without any value stay required."""
    names = [option.name for option in dataclasses.fields(kind)]
    for key in content:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
            raise ValueError(f"{origin}: unknown option {key!r}{hint}")
    kinds = get_type_hints(kind)
    values = {
        name: _value(kinds[name], content[name], f"{origin}: {name}")
        for name in names & content.keys()
    }
    for field in dataclasses.fields(kind):
        bare = field.default is field.default_factory is dataclasses.MISSING
        if bare and field.name not in values:
            values[field.name] = tyro.MISSING
    return kind(**values)


def _value(kind: Any, value: Any, origin: str) -> Any:
    """A YAML value for a field, nested dataclasses and tuples included; wrong types are refused."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise ValueError(f"{origin}: expected options below this key, got {value!r}")
        return _filled(kind, value, origin)
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and Path in (kind, *get_args(kind)):
        return Path(value)
    for plain in (bool, int, float, str):
        if kind is plain and not isinstance(value, (int, float) if plain is float else plain):
            raise ValueError(f"{origin}: expected {plain.__name__}, got {value!r}")
    return value
