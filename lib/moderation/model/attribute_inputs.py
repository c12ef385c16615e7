"""Features of attributes as columns on one scale, which the attribute layer reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.calibration import logit
from lib.feature.attributes import Attribute, read_attributes, write_attributes
from lib.moderation.model.outputs import Floats, Ints, ModelError
from lib.survival.outcomes import SurvivalError
from lib.survival.scaling import Scaling

_PIECES = 8
_ENDS = 0.005
_STRENGTH = 20.0


@dataclass(frozen=True)
class AttributeInputs:
    """How features (n, attributes) become columns.

    A number becomes pieces: how far it is through each part of its range, cut at quantiles of the
    training posts, so that what it says may bend (Gorishniy et al., On embeddings for numerical
    features in tabular deep learning, 2022). A category of few values becomes a column for each
    code. One of many values becomes a column for each policy: the log-odds by which the posts of
    that value violated it more often than all did, drawn to 0 as if twenty usual posts had been
    seen. All are standard scores of the training posts; what is missing is average, and a column of
    its own says so.

    Attributes:
        attributes: frozen, in the order of features.
        edges: by attribute, where a number is cut, ascending; empty for others.
        rates: by attribute (values + 1, policies), log-odds by code; no rows for others.
        scaling: of the columns that come out.
    """

    attributes: tuple[Attribute, ...]
    edges: tuple[tuple[float, ...], ...]
    rates: tuple[Floats, ...]
    scaling: Scaling

    @classmethod
    def fit(
        cls,
        attributes: Sequence[Attribute],
        features: Floats,
        rated_features: Floats,
        rated_targets: Floats,
    ) -> AttributeInputs:
        """Of posts that teach the layer, and of others that say how often values violate.

        Args:
            attributes: frozen.
            features: (n, attributes) of posts that teach the layer.
            rated_features: (m, attributes) of posts that do not.
            rated_targets: (m, policies) of the same; NaN unknown.
        """
        edges, rates = [], []
        for column, each in enumerate(attributes):
            is_number = each.type == "number"
            edges.append(_quantiles(features[:, column]) if is_number else ())
            is_rate = each.encoding == "rate"
            codes = rated_features[:, column]
            rates.append(
                _rates(codes, rated_targets, len(each.vocabulary))
                if is_rate
                else np.empty((0, rated_targets.shape[1]))
            )
        blank = _nothing_scaled()
        inputs = cls(tuple(attributes), tuple(edges), tuple(rates), blank)
        owners, rows = inputs._expanded(features)
        coded = [k for k, owner in enumerate(owners) if attributes[owner].encoding == "code"]
        names = tuple(f"{attributes[owner].name} {k}" for k, owner in enumerate(owners))
        try:
            scaling = Scaling.fit(names, rows, categorical=coded)
        except SurvivalError:  # nothing varies
            scaling = blank
        return cls(inputs.attributes, inputs.edges, inputs.rates, scaling)

    @property
    def width(self) -> int:
        """Columns that come out."""
        return len(self.scaling.columns)

    @property
    def owners(self) -> Ints:
        """(width,) position of the attribute that each column is of."""
        owners, _ = self._expanded(np.full((0, len(self.attributes)), np.nan))
        scaling = self.scaling
        columns = np.concatenate([scaling.used, scaling.flagged, scaling.coded[:, 0]])
        return np.array(owners, dtype=np.int64)[columns.astype(np.int64)]

    def apply(self, features: Floats) -> Floats:
        """(n, width) of features (n, attributes); each row for itself, to the bit.

        Raises:
            ModelError: there are more or fewer features than attributes.
        """
        if features.ndim != 2 or features.shape[1] != len(self.attributes):
            raise ModelError(
                f"attributes: expected {len(self.attributes)} features of each post, got shape "
                f"{features.shape}"
            )
        if not self.width:
            return np.empty((len(features), 0))
        return self.scaling.apply(self._expanded(features)[1])

    def _expanded(self, features: Floats) -> tuple[list[int], Floats]:
        """Position of the attribute of each column, and columns (n, ...) before scaling."""
        owners: list[int] = []
        parts: list[Floats] = []
        for at, (edges, rates) in enumerate(zip(self.edges, self.rates, strict=True)):
            values = features[:, at]
            if len(edges) > 1:
                part = _pieces(values, edges)
            elif len(rates):
                is_known = np.isfinite(values)
                part = rates[np.where(is_known, values, 0.0).astype(np.int64)]
                part = np.where(is_known[:, None], part, np.nan)
            else:
                part = values[:, None]
            parts.append(part)
            owners += [at] * part.shape[1]
        return owners, np.concatenate(parts, axis=1)

    def to_json(self) -> dict[str, Any]:
        """All but the rates."""
        return {
            "attributes": write_attributes(self.attributes),
            "edges": [list(edges) for edges in self.edges],
            "scaling": self.scaling.to_json(),
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any], rates: Sequence[Floats]) -> AttributeInputs:
        """As `to_json` gave it.

        Raises:
            KeyError, TypeError, ValueError, ModelError: it cannot be meant.
        """
        attributes = read_attributes(stored["attributes"])
        edges = tuple(tuple(float(edge) for edge in own) for own in stored["edges"])
        if not len(attributes) == len(edges) == len(rates):
            raise ModelError(f"attributes: {len(attributes)}, but edges of {len(edges)}")
        for each, own, table in zip(attributes, edges, rates, strict=True):
            if not np.isfinite(own).all() or (np.diff(own) <= 0).any():
                raise ModelError(f"attribute '{each.name}': expected ascending edges")
            expected = len(each.vocabulary) + 1 if each.encoding == "rate" else 0
            if len(table) != expected or not np.isfinite(table).all():
                raise ModelError(f"attribute '{each.name}': expected rates of {expected} codes")
        inputs = cls(attributes, edges, tuple(rates), Scaling.from_json(dict(stored["scaling"])))
        owners, _ = inputs._expanded(np.full((0, len(attributes)), np.nan))
        if inputs.width and len(owners) != len(inputs.scaling.names):
            raise ModelError("attributes: the scaling is of other columns")
        return inputs


def attributes_in(content: bytes) -> tuple[Attribute, ...]:
    """The attributes of a stored layer, without reading the rest of it.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    return read_attributes(json.loads(content)["inputs"]["attributes"])


def _nothing_scaled() -> Scaling:
    none = np.empty(0, dtype=np.int64)
    return Scaling((), none, np.empty(0), np.empty(0), none)


def _quantiles(values: Floats) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    if not len(known):
        return ()
    shares = np.clip(np.linspace(0.0, 1.0, _PIECES + 1), _ENDS, 1.0 - _ENDS)
    cuts = np.unique(np.quantile(known, shares, method="inverted_cdf"))
    return tuple(cuts.tolist())


def _pieces(values: Floats, edges: Sequence[float]) -> Floats:
    """(n, edges - 1): how far each value is through each part, 0 to 1; NaN where missing."""
    cuts = np.array(edges)
    # halves, so that the difference of two numbers of opposite sign is finite
    lengths = np.maximum(cuts[1:] / 2 - cuts[:-1] / 2, np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        parts = (values[:, None] / 2 - cuts[:-1] / 2) / lengths
    return np.where(np.isfinite(values)[:, None], np.clip(parts, 0.0, 1.0), np.nan)


def _rates(codes: Floats, targets: Floats, values: int) -> Floats:
    """(values + 1, policies) log-odds of violating beside those of all; 0 of unknown values."""
    rates = np.zeros((values + 1, targets.shape[1]))
    for p in range(targets.shape[1]):
        is_known = ~np.isnan(targets[:, p])
        usual = float(targets[is_known, p].mean()) if is_known.any() else 0.0
        if not 0.0 < usual < 1.0:
            continue
        rows = is_known & (codes > 0)
        places = codes[rows].astype(np.int64)
        total = np.bincount(places, minlength=values + 1)
        hits = np.bincount(places, weights=targets[rows, p], minlength=values + 1)
        shares = (hits + _STRENGTH * usual) / (total + _STRENGTH)
        rates[1:, p] = (logit(shares) - logit(np.array(usual)))[1:]
    return rates
