"""What is computed of a payment: the packaged features, and what a data set adds to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from lib.feature import DAY, FeatureSet, Window
from lib.feature.attributes import (
    Attribute,
    TargetRate,
    ValueCounts,
    freeze_attributes,
    with_numbers,
)
from lib.feature.feature_extension import FEATURES_FILE, ExtendedFeatures, FeatureExtension
from lib.fraud.amounts import AmountScale
from lib.fraud.contracts import LABELS, TRANSACTIONS
from lib.fraud.feature_library import payment_library
from lib.fraud.features import fraud_features
from lib.fraud.rules import rule_fields
from lib.registry import Artifact, ArtifactError

FRAUD_RATE = TargetRate("fraud", Window(30 * DAY, DAY, behind=7 * DAY), prior=0.01, strength=10.0)
"""How the fraud rate by an attribute is measured: labels of 30 days that are a week old."""


@dataclass(frozen=True)
class PaymentFeatures:
    """The features of payments of one data set.

    Args:
        scale: what an amount is.
        extension: attributes and feature file.

    Raises:
        FeatureFileError: of the feature file, with its line.
    """

    scale: AmountScale = field(default_factory=AmountScale)
    extension: FeatureExtension = field(default_factory=FeatureExtension)

    def __post_init__(self) -> None:
        _ = self._extended

    @cached_property
    def _extended(self) -> ExtendedFeatures:
        base = fraud_features(self.scale)
        facts = (*LABELS.names, "declined_from")
        library = payment_library(self.scale)
        return ExtendedFeatures(base, TRANSACTIONS, self.extension, FRAUD_RATE, facts, library)

    @property
    def feature_set(self) -> FeatureSet:
        """All of them, in order."""
        return self._extended.feature_set

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features that the model reads, in order."""
        return self.feature_set.names

    @property
    def added(self) -> tuple[str, ...]:
        """Those that the data set added."""
        packaged = set(fraud_features(self.scale).names)
        return tuple(name for name in self.names if name not in packaged)

    @property
    def names_of_file(self) -> tuple[str, ...]:
        """Those of the feature file."""
        return self._extended.names_of_file

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Columns of a payment beside those of the contract."""
        return self.extension.attributes

    @cached_property
    def words(self) -> dict[str, str]:
        """How people name the added features, by name of the feature."""
        return dict(self._extended.words)

    @property
    def texts(self) -> tuple[str, ...]:
        """Attributes that are texts, which rules may read beside the features."""
        return tuple(each.name for each in self.attributes if each.type == "category")

    @property
    def rule_fields(self) -> dict[str, type]:
        """What a rule may read, with its type."""
        return {**rule_fields(self.names), **dict.fromkeys(self.texts, str)}

    @property
    def unfrozen(self) -> tuple[str, ...]:
        """Attributes whose values are to be counted before anything is computed."""
        return tuple(each.name for each in self.attributes if not each.is_frozen)

    def frozen(self, counts: ValueCounts) -> PaymentFeatures:
        """The same with the encodings that the values of attributes call for.

        Raises:
            AttributeFaultError: a category has too many values.
            FeatureFileError: an expression reads what the values do not give.
        """
        if not self.unfrozen:
            return self
        attributes = freeze_attributes(self.attributes, counts, self.extension.keys)
        return replace(self, extension=replace(self.extension, attributes=attributes))

    def events(self, payments: pa.Table) -> pa.Table:
        """Checked payments as the features read them."""
        return with_numbers(payments, self.attributes)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"amounts": asdict(self.scale), "extension": self.extension.to_json()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PaymentFeatures:
        """The features that `to_json` wrote; the packaged ones where nothing is said.

        Raises:
            KeyError, TypeError, FeatureFileError: it is something else.
        """
        scale = AmountScale(**stored.get("amounts", {}))
        if "extension" not in stored:
            return cls(scale)
        return cls(scale, FeatureExtension.from_json(stored["extension"]))

    @property
    def digest(self) -> str:
        """SHA-256 of all that is said of them, words included, in hex."""
        text = f"{self.feature_set.digest} {json.dumps(self.to_json(), sort_keys=True)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """What an artifact keeps of them."""
        return json.dumps(self.to_json(), indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def of_artifact(cls, artifact: Artifact) -> PaymentFeatures:
        """The features that a model reads; the packaged ones of older artifacts.

        Raises:
            ArtifactError: it is of another system, or what it says of its features cannot be read.
        """
        if artifact.manifest.system != "fraud":
            raise ArtifactError(
                f"{artifact.directory}: expected a model of fraud, got one of "
                f"{artifact.manifest.system}"
            )
        if FEATURES_FILE not in artifact.manifest.files:
            return cls()
        content = artifact.path(FEATURES_FILE).read_bytes()
        try:
            return cls.from_json(json.loads(content))
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{artifact.directory}: {FEATURES_FILE}: {error}") from error
