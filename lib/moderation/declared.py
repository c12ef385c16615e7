"""Files that declare things in YAML, read into models; a fault is named with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lib.contract import did_you_mean

Model = TypeVar("Model", bound=BaseModel)

LONGEST_FILE = 5_000_000
"""Characters of a declaring file, at most."""

_LONGEST_VALUE = 80


class DeclarationError(ValueError):
    """A file that cannot be meant: source, line, entry, field, what was expected, what came."""


def read_declared(text: str, kind: type[Model], source: str) -> Model:
    """Read YAML into a model.

    Aliases are refused, so a short text cannot stand for a large one; so is a key that stands
    twice, of which YAML would keep one without a word.

    Args:
        text: YAML.
        kind: what it declares, a model that forbids unknown fields.
        source: the file's name, for messages.

    Raises:
        DeclarationError: of the first fault.
    """
    root, content = _content(text, source)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise DeclarationError(_fault_message(error, kind, root, source)) from error


def _content(text: str, source: str) -> tuple[yaml.MappingNode, Any]:
    """The nodes of a file, with their lines, and what they stand for."""
    if len(text) > LONGEST_FILE:
        raise DeclarationError(
            f"{source}: expected at most {LONGEST_FILE:,} characters, got {len(text):,}"
        )
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:
        raise DeclarationError(f"{source}: not YAML: {error}") from error
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise DeclarationError(f"{source}: expected 'key: value' lines at the top")
        _refuse_twice(root, source, set())
        return root, loader.construct_document(root)
    except DeclarationError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DeclarationError(f"{source}: not YAML: {error}") from error
    finally:
        loader.dispose()


def _refuse_twice(node: yaml.Node, source: str, seen_ids: set[int]) -> None:
    """Refuse a node that stands in two places by an alias, and a key that stands twice in one."""
    line = node.start_mark.line + 1
    if id(node) in seen_ids:
        raise DeclarationError(f"{source}:{line}: aliases are refused: write the value out")
    seen_ids.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_twice(child, source, seen_ids)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if str(key.value) in keys:
                line = key.start_mark.line + 1
                raise DeclarationError(f"{source}:{line}: {key.value}: stands here twice; keep one")
            keys.add(str(key.value))
            _refuse_twice(value, source, seen_ids)


def _fault_message(
    error: ValidationError, kind: type[BaseModel], root: yaml.Node, source: str
) -> str:
    # a typo leaves its field missing, too: the unknown name says more
    fault = min(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
    path = fault["loc"]
    line, entry = _locate(root, path)
    field = ".".join(str(part) for part in path if not isinstance(part, int))
    head = f"{source}:{line}: " + (f"{entry}: " if entry else "") + (f"{field}: " if field else "")
    if fault["type"] == "extra_forbidden":
        return f"{head}unknown field; {did_you_mean(str(path[-1]), _known_fields(kind, path[:-1]))}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if fault["type"] in {"missing", "value_error"}:
        return head + message
    value = repr(fault["input"])
    value = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "..."
    hint = _hint(fault)
    return f"{head}{message}, got {value}{hint}"


def _hint(fault: Mapping[str, Any]) -> str:
    if fault["type"] != "literal_error":
        return ""
    choices = str(fault["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
    return f"; {did_you_mean(str(fault['input']), choices)}"


def _locate(root: yaml.Node, path: Sequence[str | int]) -> tuple[int, str]:
    """The line of a place in the file, and the id of the innermost entry around it."""
    node, line, entry = root, root.start_mark.line + 1, ""
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
            entry = _id(node, part) if isinstance(node, yaml.MappingNode) else entry
    return line, entry


def _id(node: yaml.MappingNode, index: int) -> str:
    for key, value in node.value:
        if key.value == "id" and isinstance(value, yaml.ScalarNode):
            return str(value.value)
    return f"entry {index + 1}"


def _known_fields(kind: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The fields of the model at a path."""
    model = kind
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model within an annotation such as `tuple[Policy, ...]` or `Costs | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = (_model_in(argument) for argument in get_args(annotation))
    return next((candidate for candidate in models if candidate is not None), None)
