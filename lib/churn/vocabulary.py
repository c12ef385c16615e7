"""What kinds of customers there are: the vocabularies that features are coded by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any

import yaml
from pydantic import ConfigDict

from lib.declaration import load_declaration, repeated
from lib.feature.attribute_codes import attribute_difference
from lib.feature.attributes import Attribute
from lib.feature.feature_reader import declared_names

TABLES = ("usage", "tickets", "invoices", "payments", "surveys", "signals")
"""Of a base whose every table is told, beside the customers themselves."""
_MOST = 60
_KEYS = ("segments", "plans", "tables")


class ChurnError(ValueError):
    """Something about customers that cannot be meant; the message names it."""


@dataclass(frozen=True)
class CustomerVocabulary:
    """A company's customers, as far as a model has to know them beforehand.

    Args:
        segments: with whom customers are compared; the code of one is its place, from 1.
        plans: what is subscribed to, the same way.
        tables: what is told of customers, by contract's name; features of the others are missing.
        attributes: columns of customers beside those of the contract, frozen.
        feature_file: text of a feature file of this data set; empty without one.

    Raises:
        ChurnError: a name comes twice, or there are more than features can be made of.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    segments: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    tables: tuple[str, ...] = TABLES
    attributes: tuple[Attribute, ...] = ()
    feature_file: str = ""

    def __post_init__(self) -> None:
        for key in ("segments", "plans"):
            names = getattr(self, key)
            if (twice := repeated(names)) is not None:
                raise ChurnError(f"{key}: '{twice}' is listed twice")
            if len(names) > _MOST:
                raise ChurnError(f"{key}: expected at most {_MOST}, got {len(names)}")
        if (twice := repeated([each.name for each in self.attributes])) is not None:
            raise ChurnError(f"attributes: '{twice}' is listed twice")
        for name in self.tables:
            if name not in TABLES:
                raise ChurnError(f"tables: expected some of {', '.join(TABLES)}, got '{name}'")

    def difference(self, other: CustomerVocabulary) -> str:
        """What the other base has instead, in words; empty where both are the same."""
        differing = [
            f"{key}: {_listed(getattr(self, key))} against {_listed(getattr(other, key))}"
            for key in _KEYS
            if getattr(self, key) != getattr(other, key)
        ]
        return "; ".join(part for part in (*differing, self.extension_difference(other)) if part)

    def extension_difference(self, other: CustomerVocabulary) -> str:
        """What attributes and feature file the other base has instead; empty where none differ."""
        differing = (self.attribute_difference(other), self._file_difference(other))
        return "; ".join(part for part in differing if part)

    def _file_difference(self, other: CustomerVocabulary) -> str:
        if self.feature_file == other.feature_file:
            return ""
        own, others = (_listed(declared_names(base.feature_file)) for base in (self, other))
        if own == others:
            return f"feature file: {own}, declared otherwise"
        return f"feature file: {own} against {others}"

    def attribute_difference(self, other: CustomerVocabulary) -> str:
        """What attributes the other base has instead, in words; empty where they are the same."""
        return attribute_difference(self.attributes, other.attributes, with_words=True)

    def to_yaml(self) -> str:
        """A file that `parse_vocabulary` reads."""
        content: dict[str, Any] = {name: list(getattr(self, name)) for name in _KEYS}
        if self.attributes:
            content["attributes"] = [_written(each) for each in self.attributes]
        if self.feature_file:
            content["feature_file"] = self.feature_file
        return yaml.safe_dump(content, sort_keys=False)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _written(attribute: Attribute) -> dict[str, Any]:
    """An attribute as YAML has it: what it says beside the defaults."""
    written: dict[str, Any] = {}
    for key in fields(Attribute):
        value = getattr(attribute, key.name)
        if key.default is MISSING or value != key.default:
            written[key.name] = list(value) if isinstance(value, tuple) else value
    return written


def parse_vocabulary(text: str, origin: str = "base") -> CustomerVocabulary:
    """The base in a YAML text: `segments`, `plans`, `tables`, `attributes`, lists, all optional.

    `feature_file` is the text of one.

    Raises:
        ChurnError: unknown keys, or something else than lists of names.
    """
    return load_declaration(text, CustomerVocabulary, origin, ChurnError)


def vocabulary_of(
    segments: Iterable[str | None],
    plans: Iterable[str | None],
    tables: Iterable[str] = TABLES,
    attributes: tuple[Attribute, ...] = (),
) -> CustomerVocabulary:
    """The base that data shows: every segment and plan that comes, by name.

    Rare ones beyond the most that features can be made of have no name of their own.
    """
    unique_names = [tuple(sorted({name for name in names if name})) for names in (segments, plans)]
    table_names = tuple(name for name in TABLES if name in set(tables))
    kept = [names if len(names) <= _MOST else () for names in unique_names]
    return CustomerVocabulary(kept[0], kept[1], table_names, attributes)
