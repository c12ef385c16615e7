"""YAML into a model: a fault is named with its line, field, expected and actual value."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import BaseModel, BeforeValidator, PlainValidator, TypeAdapter, ValidationError

from lib.declaration.spelling import did_you_mean
from lib.declaration.yaml_document import (
    DocumentError,
    check_keys,
    compose_yaml,
    construct_yaml,
    line_of,
    read_packaged_yaml,
)

Model = TypeVar("Model")

_LONGEST_VALUE = 80


class DeclarationError(ValueError):
    """A file that cannot be used: source, line, entry, field, what was expected, what came."""


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r}"[:_LONGEST_VALUE])
    return value


Number = Annotated[float, PlainValidator(_number)]
"""A number as it was written: neither a text of digits nor true, and 8 stays a whole number."""

Text = Annotated[str, BeforeValidator(str)]
"""A text; what YAML takes for a number or a date is the text of that value."""


def load_declaration(
    text: str, model: type[Model], origin: str, error: type[ValueError] = DeclarationError
) -> Model:
    """Read YAML into a model; an empty document declares no field.

    Args:
        text: YAML, see `compose_yaml`; a key that stands twice is refused.
        model: what it declares, a pydantic model or a dataclass that forbids unknown fields.
        origin: the file's name or option, for messages.
        error: what is raised.

    Raises:
        ValueError: `error`, of the first fault.
    """
    return load_over(text, model, origin, lambda content: content, error)


def load_packaged(
    text: str, model: type[Model], origin: str, error: type[ValueError] = DeclarationError
) -> Model:
    """Read YAML of the product itself: as `load_declaration`, and fast where it has no fault.

    Raises:
        ValueError: `error`, of the first fault.
    """
    with contextlib.suppress(DocumentError, ValidationError):
        return TypeAdapter(model).validate_python(read_packaged_yaml(text))
    return load_declaration(text, model, origin, error)


def load_over(
    text: str,
    model: type[Model],
    origin: str,
    complete: Callable[[dict[str, Any]], dict[str, Any]],
    error: type[ValueError] = DeclarationError,
) -> Model:
    """Read YAML into a model as `load_declaration`, after `complete` adds what is not written.

    Raises:
        ValueError: `error`, of the first fault.
    """
    try:
        root = compose_yaml(text)
        content = None if root is None else construct_yaml(root)
        if root is not None:
            check_keys(root)
    except DocumentError as fault:
        raise error(fault.at(origin)) from fault
    if content is not None and not isinstance(content, dict):
        value = _short(content)
        raise error(f"{origin}: {_FIELDS} at the top, got {value}")
    return check_declaration(complete(content or {}), model, origin, error, root)


def check_declaration(
    content: object,
    model: type[Model],
    origin: str,
    error: type[ValueError] = DeclarationError,
    root: yaml.Node | None = None,
) -> Model:
    """Plain values as a model; `root` has the lines of the values where they come from YAML.

    Raises:
        ValueError: `error`, of the first fault.
    """
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as faults:
        raise error(_fault_message(faults, model, root, origin)) from faults


def _fault_message(error: ValidationError, model: type, root: yaml.Node | None, origin: str) -> str:
    # a typo leaves its field missing, too: the unknown name says more
    fault = min(error.errors(), key=lambda details: details["type"] not in _UNKNOWN)
    path = [part for part in fault["loc"] if part != "[key]"]
    line, entry = _locate(root, path)
    field = ".".join(str(part) for part in path if not isinstance(part, int))
    head = ": ".join(
        part for part in (f"{origin}:{line}" if line else origin, entry, field) if part
    )
    if fault["type"] in _UNKNOWN:
        known_names = _known_fields(model, path[:-1])
        return f"{head}: unknown field; {did_you_mean(str(path[-1]), known_names)}"
    message = _EXPECTED.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if fault["type"] in {"missing", "value_error"}:
        return f"{head}: {message}"
    return f"{head}: {message}, got {_short(fault['input'])}{_hint(fault)}"


def locate(text: str, origin: str, path: Sequence[str | int]) -> str:
    """Where a value is in a file, for a message: its origin, line, entry and key.

    Args:
        text: YAML.
        origin: the file's name.
        path: keys and numbers of entries from the top; the last that is there gives the line.
    """
    line, entry = _locate(compose_yaml(text), path)
    field = ".".join(str(part) for part in path if not isinstance(part, int))
    return ": ".join(part for part in (f"{origin}:{line}", entry, field) if part)


_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_FIELDS = "expected 'key: value' lines"
_EXPECTED = {
    "bool_type": "expected true or false",
    "dataclass_type": _FIELDS,
    "dict_type": _FIELDS,
    "float_type": "expected a number",
    "int_type": "expected a whole number",
    "list_type": "expected a list",
    "model_type": _FIELDS,
    "string_type": "expected a text",
    "tuple_type": "expected a list",
}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def _hint(fault: Mapping[str, Any]) -> str:
    if fault["type"] != "literal_error":
        return ""
    choices = str(fault["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
    return f"; {did_you_mean(str(fault['input']), choices)}"


def _locate(root: yaml.Node | None, path: Sequence[str | int]) -> tuple[int, str]:
    """The line of a place in the file, 0 without a file; the id of the innermost entry around."""
    if root is None:
        return 0, ""
    node, line, entry = root, line_of(root), ""
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            line, node = line_of(pairs[0][0]), pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = line_of(node)
            entry = _id(node, part) if isinstance(node, yaml.MappingNode) else entry
    return line, entry


def _id(node: yaml.MappingNode, index: int) -> str:
    for key, value in node.value:
        if key.value in {"id", "name"} and isinstance(value, yaml.ScalarNode):
            return str(value.value)
    return f"entry {index + 1}"


def _known_fields(model: type, path: Sequence[str | int]) -> list[str]:
    """The fields of the model at a path."""
    for part in path:
        annotation = _fields(model).get(str(part))
        model = _model_in(annotation) or model
    return list(_fields(model))


def _fields(model: type) -> Mapping[str, Any]:
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return get_type_hints(model)


def _model_in(annotation: Any) -> type | None:
    """The model within an annotation such as `tuple[Policy, ...]` or `Costs | None`."""
    if isinstance(annotation, type) and (
        dataclasses.is_dataclass(annotation) or issubclass(annotation, BaseModel)
    ):
        return annotation
    models = (_model_in(argument) for argument in get_args(annotation))
    return next((candidate for candidate in models if candidate is not None), None)
