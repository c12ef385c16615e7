"""Options of a job: a frozen dataclass, filled from the command line and a YAML file; times."""

import dataclasses
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import tyro
from pydantic import AfterValidator, ConfigDict, StrictBool, StrictInt, StrictStr

from lib.contract import ContractError
from lib.declaration import load_declaration, read_yaml_text
from lib.declaration.yaml_model import Number

Options = TypeVar("Options")
_FLAG = "--config"
_PLAIN: dict[Any, Any] = {bool: StrictBool, int: StrictInt, float: Number, str: StrictStr}


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
        default = declared_options(kind, read_yaml_text(file), file)
    except ValueError as error:
        raise SystemExit(f"error: {_FLAG}: {error}") from error
    return tyro.cli(kind, args=command_line, default=default)


def declared_options(kind: type[Options], text: str, origin: str) -> Options:
    """A dataclass, and those within it, filled from YAML; what the text leaves out has its default.

    Args:
        kind: whose fields the keys are.
        text: YAML.
        origin: the file's name or option, for messages.

    Raises:
        ValueError: a key is unknown or a value cannot be meant, with its line.
    """
    filled: Options = _filled(kind, load_declaration(text, _declared(kind), origin))
    return filled


def shared_options(kind: type[Options], source: object, **more: Any) -> Options:
    """A dataclass with the values that `source` has under the same names, and with `more`."""
    names = {option.name for option in dataclasses.fields(kind)} - more.keys()  # type: ignore[arg-type]
    return kind(**{name: getattr(source, name) for name in names if hasattr(source, name)}, **more)


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


def _filled(kind: type[Any], declared: Any, default: Any = None) -> Any:
    """A dataclass with the values of a file; fields without any value stay required.

    Args:
        kind: the dataclass.
        declared: what the file says.
        default: has the values of fields that the file leaves out; None: those of the dataclass.
    """
    values = {}
    for option in dataclasses.fields(kind):
        value = getattr(declared, option.name)
        if dataclasses.is_dataclass(value):
            nested = get_type_hints(kind)[option.name]
            usual = _default_of(option) if default is None else getattr(default, option.name)
            values[option.name] = _filled(nested, value, usual)
        elif value is not tyro.MISSING:
            values[option.name] = value
        elif default is None and option.default is option.default_factory is dataclasses.MISSING:
            values[option.name] = tyro.MISSING
    return kind(**values) if default is None else dataclasses.replace(default, **values)


def _default_of(option: dataclasses.Field[Any]) -> Any:
    """The default of a field; None without one."""
    if option.default_factory is not dataclasses.MISSING:
        return option.default_factory()
    return None if option.default is dataclasses.MISSING else option.default


def _declared(kind: type[Any]) -> type[Any]:
    """What a file may say of a dataclass: any of its options, and of those below them."""
    hints = get_type_hints(kind)
    options = [
        (option.name, _read_as(hints[option.name]), dataclasses.field(default=tyro.MISSING))
        for option in dataclasses.fields(kind)
    ]
    strict = {"__pydantic_config__": ConfigDict(extra="forbid")}
    return dataclasses.make_dataclass(kind.__name__, options, namespace=strict)


def _read_as(kind: Any) -> Any:
    """How a YAML value is read for a field; what is neither plain nor nested is left to tyro."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _declared(kind)

    def converted(value: Any) -> Any:
        if isinstance(value, str) and Path in (kind, *get_args(kind)):
            return Path(value)
        return tuple(value) if isinstance(value, list) else value

    return _PLAIN.get(kind) or Annotated[Any, AfterValidator(converted)]


def parse_time(option: str, text: str) -> int:
    """Microseconds since 1970 of a time in ISO 8601, UTC where it says nothing else.

    Raises:
        ContractError: it is none, naming the option.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ContractError(f"{option}: expected a time in ISO 8601, got {text!r}") from error
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return round(time.timestamp() * 1e6)


def time_text(at_us: int) -> str:
    """The same as text."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds")
