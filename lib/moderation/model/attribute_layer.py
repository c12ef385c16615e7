"""What attributes of a post add to what its text, images and video say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lib.calibration import Calibrator
from lib.feature.attribute_values import AttributeValue, encode_attributes
from lib.feature.attributes import Attribute
from lib.moderation.model.attribute_inputs import AttributeInputs
from lib.moderation.model.outputs import Floats, ModelError
from lib.moderation.model.serialization import (
    Files,
    Reader,
    arrays_bytes,
    json_bytes,
    read_arrays,
)

ATTRIBUTES_FILE = "attributes.json"
"""Of an artifact whose model reads attributes."""
_WEIGHTS = "attributes.safetensors"
_WIDEST, _UNIT = 10.0, 4.0


@dataclass(frozen=True)
class AttributeWeights:
    """Of the layer. Evidence is what the modalities say: log-odds, a quarter of them.

    Attributes:
        direct: (columns, policies) log-odds for each column.
        evidence: (columns, policies) log-odds for each column times evidence of the policy: where a
            text, an image or a video is to be believed more, or less.
        offset, slope: (policies,) log-odds in any case, and for evidence of the policy.
        inward: (columns + policies, units), bend: (units,) and outward: (units, policies) of a
            hidden layer over columns and evidence, of which that at average columns is taken off;
            without units there is none.
    """

    direct: Floats
    evidence: Floats
    offset: Floats
    slope: Floats
    inward: Floats
    bend: Floats
    outward: Floats

    def adds(self, columns: Floats, log_odds: Floats) -> Floats:
        """Log-odds (n, policies) that attributes add; each row for itself, to the bit.

        Sums go by column over rows: a product of matrices rounds otherwise for other numbers of
        rows.

        Args:
            columns: (n, columns) see `AttributeInputs`.
            log_odds: (n, policies) of the modalities, calibrated.
        """
        spoken = evidence_of(log_odds)
        total = self.offset + self.slope * spoken
        average = np.zeros((len(spoken), len(self.bend))) + self.bend
        for k in range(spoken.shape[1]):
            average += spoken[:, k, None] * self.inward[columns.shape[1] + k]
        units = average.copy()
        for k in range(columns.shape[1]):
            total += columns[:, k, None] * (self.direct[k] + self.evidence[k] * spoken)
            units += columns[:, k, None] * self.inward[k]
        bent = np.maximum(units, 0.0) - np.maximum(average, 0.0)
        for k in range(bent.shape[1]):
            total += bent[:, k, None] * self.outward[k]
        return total

    def with_units(self, units: int, seed: int) -> AttributeWeights:
        """The same with a hidden layer that is drawn at random and adds almost nothing."""
        rng = np.random.default_rng(seed)
        width, policies = len(self.inward), self.direct.shape[1]
        spread = 1.0 / np.sqrt(width)
        return replace(
            self,
            inward=rng.normal(0.0, spread, (width, units)),
            bend=rng.normal(0.0, spread, units),
            outward=rng.normal(0.0, 0.1 * spread, (units, policies)),
        )


def evidence_of(log_odds: Floats) -> Floats:
    """What modalities say, on the scale of the layer."""
    return np.clip(log_odds, -_WIDEST, _WIDEST) / _UNIT


@dataclass(frozen=True)
class PolicyGain:
    """What attributes were worth on posts that the layer did not learn from.

    Attributes:
        is_read: whether the layer is read for the policy: where it gains beyond doubt.
        without, fused: mean log-loss without attributes, and with them.
        doubt: standard error of the difference over authors.
    """

    is_read: bool
    without: float
    fused: float
    doubt: float


@dataclass(frozen=True)
class AttributeLayer:
    """A fitted layer.

    Attributes:
        inputs: from features to columns.
        weights: of the layer.
        gains: by policy, in the order of log-odds.
        calibrators: by policy, from log-odds with attributes to calibrated ones; used where the
            layer is read.
    """

    inputs: AttributeInputs
    weights: AttributeWeights
    gains: tuple[PolicyGain, ...]
    calibrators: tuple[Calibrator, ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """In the order of features."""
        return self.inputs.attributes

    def encoded(self, values: Sequence[Mapping[str, AttributeValue]]) -> Floats:
        """Features (n, attributes) of posts, of whose attributes `values` are by name."""
        rows = [encode_attributes(self.attributes, own) for own in values]
        return np.stack(rows) if rows else np.empty((0, len(self.attributes)))

    def answer(self, log_odds: Floats, features: Floats) -> Floats:
        """Calibrated log-odds (n, policies); those of the modalities where it is not read.

        Args:
            log_odds: (n, policies) of the modalities, calibrated.
            features: (n, attributes), NaN missing.
        """
        return self._fused(log_odds, self.inputs.apply(features))

    def contributions(self, log_odds: Floats, features: Floats) -> dict[str, Floats]:
        """By attribute (n, policies): the answer less the one at its training average."""
        columns, owners = self.inputs.apply(features), self.inputs.owners
        answer = self._fused(log_odds, columns)
        return {
            each.name: answer - self._fused(log_odds, np.where(owners == at, 0.0, columns))
            for at, each in enumerate(self.attributes)
        }

    def contribution(self, log_odds: Floats, features: Floats) -> Floats:
        """(n, policies): the answer less the one with all attributes at their average."""
        columns = self.inputs.apply(features)
        return self._fused(log_odds, columns) - self._fused(log_odds, np.zeros_like(columns))

    def _fused(self, log_odds: Floats, columns: Floats) -> Floats:
        adds = self.weights.adds(columns, log_odds)
        return self.fused(log_odds, adds)

    def fused(self, log_odds: Floats, adds: Floats) -> Floats:
        """Calibrated log-odds (n, policies) of those of the modalities and what is added."""
        together = [
            calibrator.log_odds(log_odds[:, p] + adds[:, p]) if gain.is_read else log_odds[:, p]
            for p, (gain, calibrator) in enumerate(zip(self.gains, self.calibrators, strict=True))
        ]
        return np.stack(together, axis=1)

    def files(self) -> Files:
        """All that `read` needs."""
        rates = {f"rates.{at}": table for at, table in enumerate(self.inputs.rates)}
        metadata = {
            "inputs": self.inputs.to_json(),
            "gains": [asdict(gain) for gain in self.gains],
            "calibrators": [calibrator.to_json() for calibrator in self.calibrators],
        }
        arrays = {**vars(self.weights), **rates}
        return {ATTRIBUTES_FILE: json_bytes(metadata), _WEIGHTS: arrays_bytes(arrays)}

    @classmethod
    def read(cls, reader: Reader, policies: int) -> AttributeLayer:
        """As `files` stored it.

        Raises:
            KeyError, TypeError, ValueError, ModelError: it cannot be meant.
        """
        metadata: dict[str, Any] = json.loads(reader(ATTRIBUTES_FILE))
        arrays = read_arrays(reader(_WEIGHTS))
        count = len(metadata["inputs"]["attributes"])
        rates = [arrays.pop(f"rates.{at}") for at in range(count)]
        inputs = AttributeInputs.read(metadata["inputs"], rates)
        weights = AttributeWeights(**arrays)
        _require_shapes(weights, inputs.width, policies)
        layer = cls(
            inputs,
            weights,
            tuple(PolicyGain(**gain) for gain in metadata["gains"]),
            tuple(Calibrator.from_json(entry) for entry in metadata["calibrators"]),
        )
        if not len(layer.gains) == len(layer.calibrators) == policies:
            raise ModelError(f"{ATTRIBUTES_FILE}: expected gains of {policies} policies")
        return layer


def _require_shapes(weights: AttributeWeights, width: int, policies: int) -> None:
    units = len(weights.bend)
    expected = {
        "direct": (width, policies),
        "evidence": (width, policies),
        "offset": (policies,),
        "slope": (policies,),
        "inward": (width + policies, units),
        "bend": (units,),
        "outward": (units, policies),
    }
    for name, shape in expected.items():
        stored = getattr(weights, name)
        if stored.shape != shape or stored.dtype != np.float64:
            raise ModelError(f"{_WEIGHTS}: {name}: expected shape {shape}, got {stored.shape}")
        if not np.isfinite(stored).all():
            raise ModelError(f"{_WEIGHTS}: {name}: a weight is not a finite number")
