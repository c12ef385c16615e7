"""YAML read with the line of every key, so that an error can name its place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from lib.contract.declaration import ContractError
from lib.declaration import did_you_mean
from lib.declaration.yaml_document import DocumentError, compose_yaml, construct_yaml, line_of

_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of a mapping file.

    Attributes:
        value: as YAML understands it.
        text: as it was written.
        line: from 1.
    """

    value: Any
    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """A YAML mapping: keys as they were written, values with their lines.

    Args:
        origin: the file's name, for messages.
        path: dotted path from the top of the file, "" at the top.
        line: 1-based line where the section starts.
        entries: what stands under each key.
    """

    origin: str
    path: str
    line: int
    entries: dict[str, "Scalar | Section | list[Scalar]"]

    def fail(self, message: str, key: str | None = None) -> NoReturn:
        """Refuse the file, naming the place of `key` or of the section itself."""
        entry = self.entries.get(key) if key else None
        line = entry.line if isinstance(entry, Scalar | Section) else self.line
        if isinstance(entry, list) and entry:
            line = entry[0].line
        key_path = ".".join(part for part in (self.path, key) if part)
        raise ContractError(f"{self.origin}:{line}: {f'{key_path}: ' if key_path else ''}{message}")

    def only(self, known_keys: Iterable[str]) -> None:
        """Refuse keys that are not in `known_keys`, with a suggestion."""
        names = tuple(known_keys)
        for key in self.entries:
            if key not in names:
                self.fail(f"unknown key; {did_you_mean(key, names)}", key)

    def text(self, key: str, default: str | None = None) -> str | None:
        """The text under `key` as it was written, `default` where the key is absent."""
        entry = self.entries.get(key)
        if entry is None:
            return default
        if not isinstance(entry, Scalar) or entry.value is None:
            self.fail("expected one value", key)
        return entry.text

    def required_text(self, key: str) -> str:
        """The text under `key`; refused where the key is absent."""
        text = self.text(key)
        if text is None:
            self.fail(f"needs the key '{key}'")
        return text

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str | None:
        """The text under `key`, which must be one of `options`."""
        text = self.text(key, default)
        if text is not None and text not in options:
            self.fail(f"'{text}' is not possible here; {did_you_mean(text, options)}", key)
        return text

    def flag(self, key: str, default: bool | None = None) -> bool | None:
        """`true` or `false` under `key`."""
        text = self.choice(key, ("true", "false"))
        return default if text is None else text == "true"

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int | None:
        """The whole number under `key`, between `low` and `high` inclusive."""
        entry = self.entries.get(key)
        if entry is None:
            return default
        value = entry.value if isinstance(entry, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            text = entry.text if isinstance(entry, Scalar) else "a list or section"
            self.fail(f"expected a whole number from {low} to {high}, came {text}", key)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts under `key`, a single value or a list; empty where the key is absent."""
        entry = self.entries.get(key)
        if entry is None:
            return ()
        if isinstance(entry, Section):
            self.fail("expected a value or a list of values", key)
        return tuple(scalar.text for scalar in ([entry] if isinstance(entry, Scalar) else entry))

    def choices(self, key: str, options: Sequence[str]) -> tuple[str, ...]:
        """The texts under `key`, each one of `options`."""
        texts = self.texts(key)
        for text in texts:
            if text not in options:
                self.fail(f"'{text}' is not possible here; {did_you_mean(text, options)}", key)
        return texts

    def section(self, key: str) -> "Section | None":
        """The section under `key`, None where the key is absent."""
        entry = self.entries.get(key)
        if entry is not None and not isinstance(entry, Section):
            self.fail("expected a section of 'key: value' lines", key)
        return entry


def parse_section(text: str, origin: str) -> Section:
    """The top section of a YAML document; tags that build objects are never followed.

    Raises:
        ContractError: the text is not YAML, not a mapping, names a key twice or nests too deep.
    """
    try:
        node = compose_yaml(text)
    except DocumentError as fault:
        raise ContractError(fault.at(origin)) from fault
    if not isinstance(node, yaml.MappingNode):
        raise ContractError(f"{origin}: expected 'key: value' lines at the top")
    return _section(node, origin, "", 1)


def _section(node: yaml.MappingNode, origin: str, path: str, depth: int) -> Section:
    section = Section(origin, path, line_of(node), {})
    if depth > _DEEPEST:
        section.fail("nested too deep")
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in section.entries:
            section.fail("stands here twice; keep one", key)
        inner = f"{path}.{key}" if path else key
        section.entries[key] = _entry(value_node, origin, inner, depth)
    return section


def _entry(node: yaml.Node, origin: str, path: str, depth: int) -> Scalar | Section | list[Scalar]:
    if isinstance(node, yaml.MappingNode):
        return _section(node, origin, path, depth + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_scalar(child, origin, path) for child in node.value]
    return _scalar(node, origin, path)


def _scalar(node: yaml.Node, origin: str, path: str) -> Scalar:
    line = line_of(node)
    if not isinstance(node, yaml.ScalarNode):
        raise ContractError(f"{origin}:{line}: {path}: expected plain values in this list")
    try:
        return Scalar(construct_yaml(node), node.value, line)
    except DocumentError as fault:
        raise ContractError(f"{origin}:{line}: {path}: {fault.problem}") from fault
