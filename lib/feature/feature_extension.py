"""What a data set adds to the packaged features of a system: attributes and a feature file.

It travels in the artifact of the model that was trained with it, and a service computes what it
says: training and serving read the same declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lib.contract import Contract
from lib.feature.attributes import (
    Attribute,
    AttributeFaultError,
    TargetRate,
    attribute_features,
    read_attributes,
    write_attributes,
)
from lib.feature.declaration import FeatureSet
from lib.feature.feature_library import ColumnKind, FeatureLibrary, column_kinds
from lib.feature.feature_reader import FeatureFile, columns_by_value, load_features

FEATURES_FILE = "features.json"
"""Name of the file in an artifact that says what its model reads."""


@dataclass(frozen=True)
class FeatureExtension:
    """Attributes and the text of a feature file.

    Attributes:
        attributes: frozen, in the order of the mapping file.
        text: of the feature file; "" without one.
        origin: its name, for messages.
    """

    attributes: tuple[Attribute, ...] = ()
    text: str = ""
    origin: str = "features.yaml"

    def __bool__(self) -> bool:
        return bool(self.attributes or self.text)

    @property
    def keys(self) -> frozenset[str]:
        """Columns by which the feature file computes something, or whose values it distinguishes.

        Raises:
            FeatureFileError: the file cannot be read, with its line.
        """
        return columns_by_value(self.text, self.origin) if self.text else frozenset()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "attributes": write_attributes(self.attributes),
            "text": self.text,
            "origin": self.origin,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> FeatureExtension:
        """The extension that `to_json` wrote.

        Raises:
            KeyError, TypeError: it is something else.
        """
        attributes = read_attributes(stored["attributes"])
        return cls(attributes, str(stored["text"]), str(stored["origin"]))


@dataclass(frozen=True)
class ExtendedFeatures:
    """The packaged features of a system with those of an extension after them.

    Args:
        base: the packaged features.
        contract: of the events, without attributes.
        extension: what is added.
        target: how rates by attributes are measured.
        facts: columns of the tables that say what became known.
        library: what the system gives feature files by name.

    Raises:
        AttributeFaultError: an attribute has the name of a packaged feature.
        FeatureFileError: of the feature file, with its line.
    """

    base: FeatureSet
    contract: Contract
    extension: FeatureExtension
    target: TargetRate
    facts: tuple[str, ...] = ()
    library: FeatureLibrary | None = None

    def __post_init__(self) -> None:
        meanings = dict.fromkeys(self.base.input_columns(), "a column of events")
        meanings |= {feature.name: "a packaged feature" for feature in self.base.features}
        meanings |= dict.fromkeys(self._reserved, "something that becomes known of events")
        for attribute in self.extension.attributes:
            features = [each.name for each in attribute_features([attribute], self.target)]
            for name in dict.fromkeys((attribute.name, *features)):
                if name in meanings:
                    raise AttributeFaultError(
                        attribute.name,
                        f"'{name}' is the name of {meanings[name]}; give it another name",
                    )
                meanings[name] = f"what attribute '{attribute.name}' becomes"
        _ = self.feature_set

    @property
    def _reserved(self) -> frozenset[str]:
        """Columns that facts about events are kept in."""
        ends = (f"{fact}_{end}" for fact in self.base.facts for end in ("from", "until"))
        return frozenset((*ends, *self.facts))

    @cached_property
    def feature_set(self) -> FeatureSet:
        """All of them."""
        if not self.extension:
            return self.base
        with_attributes = replace(self.base, features=(*self.base.features, *self._attributes))
        return self._file.extend(with_attributes) if self._file else with_attributes

    @property
    def words(self) -> Mapping[str, str]:
        """How people name the added features, by name of the feature."""
        named = self.extension.attributes
        words = {each.feature_name: each.words for each in named if each.words}
        words |= {
            self.target.feature(each).name: f"{self.target.fact} rate of {each.words or each.name}"
            for each in named
            if each.encoding == "rate"
        }
        return words | dict(self._file.words if self._file else {})

    @property
    def names_of_file(self) -> tuple[str, ...]:
        """Features that the feature file declares and models read."""
        return self._file.names if self._file else ()

    @property
    def tiles(self) -> Mapping[str, int]:
        """The most tiles that a profile keeps for a feature of the file, by its name."""
        return self._file.tiles if self._file else {}

    @property
    def _attributes(self) -> tuple[Any, ...]:
        return attribute_features(self.extension.attributes, self.target)

    @cached_property
    def _file(self) -> FeatureFile | None:
        if not self.extension.text:
            return None
        base = replace(self.base, features=(*self.base.features, *self._attributes))
        text, origin = self.extension.text, self.extension.origin
        return load_features(text, origin, base, self._columns(), self._reserved, self.library)

    def _columns(self) -> dict[str, ColumnKind]:
        kinds = column_kinds(self.contract, self.base)
        return kinds | {each.name: each.type for each in self.extension.attributes}
