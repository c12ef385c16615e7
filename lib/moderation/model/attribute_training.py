"""Fits what attributes add, on what fusion says of posts that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from lib.calibration import Calibrator, sigmoid
from lib.feature.attributes import Attribute
from lib.moderation.model.attribute_inputs import AttributeInputs
from lib.moderation.model.attribute_layer import (
    AttributeLayer,
    AttributeWeights,
    PolicyGain,
    evidence_of,
)
from lib.moderation.model.outputs import Floats, Ints, ModelError

_RIDGES, _UNITS = (3.0, 30.0), 16
_STEPS, _STEPS_BENT = 200, 100
_MOST_POSTS = 30_000
_LEAST_OF_A_KIND, _DOUBTS, _LEAST_GAIN = 5, 2.0, 1e-4
_PENALISED = ("direct", "evidence", "inward", "outward")
Calibrate = Callable[[Floats, Floats, Ints], Calibrator]
"""Of log-odds and targets (n,) of one policy, and folds."""


@dataclass(frozen=True)
class AttributeSamples:
    """Attributes of posts.

    Attributes:
        attributes: frozen.
        features: (n, attributes) of the posts that fusion is fitted on.
        authors: (n,) names or codes; what an author's posts gain counts once.
        rated_features: (m, attributes) of posts that teach models of modalities.
        rated_targets: (m, policies) of the same; NaN unknown.
    """

    attributes: tuple[Attribute, ...]
    features: Floats
    authors: Any
    rated_features: Floats
    rated_targets: Floats


@dataclass(frozen=True)
class FittedLayer:
    """A layer that learnt from all posts.

    Attributes:
        layer: see `AttributeLayer`.
        log_odds: (n, policies) calibrated, of each post with what a layer adds that did not learn
            from it.
    """

    layer: AttributeLayer
    log_odds: Floats


def fit_attribute_layer(
    samples: AttributeSamples,
    log_odds: Floats,
    targets: Floats,
    folds: Ints,
    seed: int,
    calibrate: Calibrate,
) -> FittedLayer:
    """A layer by cross-fitting, with the penalty, and with a hidden layer, if that is better.

    It is read for the policies whose log-loss falls beyond doubt, by two standard errors over
    authors, on posts that it did not learn from, beside fusion without attributes whose offset and
    slope were fitted as the layer's are. At most 30,000 posts, drawn at random, teach it.

    Args:
        samples: attributes of the posts.
        log_odds: (n, policies) calibrated, of the modalities; of networks that did not learn from
            a post.
        targets: (n, policies) within 0 and 1; NaN unknown.
        folds: (n,) posts that belong together are in one.
        seed: of the hidden layer, and of which posts teach.
        calibrate: fits the calibration of a policy.

    Raises:
        ModelError: features and log-odds are of different posts.
    """
    if len(samples.features) != len(log_odds):
        raise ModelError(f"attributes: expected {len(log_odds)} posts, got {len(samples.features)}")
    inputs = AttributeInputs.fit(
        samples.attributes, samples.features, samples.rated_features, samples.rated_targets
    )
    rows = _Rows(inputs.apply(samples.features), log_odds, targets)
    drawn = np.zeros(len(log_odds), dtype=bool)
    drawn[np.random.default_rng(seed).permutation(len(drawn))[:_MOST_POSTS]] = True
    crossed = _cross_fitted(rows, drawn, folds, seed)
    weights, adds = crossed.weights, crossed.adds
    gains, calibrators = [], []
    for p in range(targets.shape[1]):
        fused, flags = log_odds[:, p] + adds[:, p], targets[:, p]
        alone = log_odds[:, p], log_odds[:, p] + crossed.alone[:, p]
        gains.append(_gain(alone, fused, flags, samples.authors))
        calibrators.append(calibrate(fused, flags, folds))
    layer = AttributeLayer(inputs, weights, tuple(gains), tuple(calibrators))
    return FittedLayer(layer, layer.fused(log_odds, adds))


@dataclass(frozen=True)
class _Crossed:
    """Weights by all posts, and what weights by other folds add (n, policies) to each post.

    `alone` is of weights that read no attribute: offset and slope.
    """

    weights: AttributeWeights
    adds: Floats
    alone: Floats


def _cross_fitted(rows: _Rows, drawn: Any, folds: Ints, seed: int) -> _Crossed:
    names = np.unique(folds).tolist()

    def crossed(fitted: Mapping[Any, AttributeWeights], own: _Rows = rows) -> Floats:
        adds = np.zeros_like(own.log_odds)
        for name in names:
            inside = folds == name
            adds[inside] = fitted[name].adds(own.columns[inside], own.log_odds[inside])
        return adds

    def parts(
        fit: Callable[[_Rows, Any], AttributeWeights], own: _Rows = rows
    ) -> dict[Any, AttributeWeights]:
        masks = {name: drawn & (folds != name) for name in names} | {None: drawn}
        return {name: fit(own.take(mask), name) for name, mask in masks.items()}

    def straight(own: _Rows, ridge: float) -> dict[Any, AttributeWeights]:
        return parts(lambda some, _: some.minimised(some.blank(), ridge, _STEPS), own)

    bare = replace(rows, columns=rows.columns[:, :0])
    unread = straight(bare, _RIDGES[0])
    alone = crossed(unread, bare)
    if not rows.columns.shape[1]:
        return _Crossed(unread[None], alone, alone)
    choices = [(ridge, straight(rows, ridge)) for ridge in _RIDGES]
    ridge, fitted = min(choices, key=lambda each: rows.loss(crossed(each[1])))
    bent = parts(
        lambda own, name: own.minimised(fitted[name].with_units(_UNITS, seed), ridge, _STEPS_BENT)
    )
    best = min((fitted, bent), key=lambda each: rows.loss(crossed(each)))
    return _Crossed(best[None], crossed(best), alone)


@dataclass(frozen=True)
class _Rows:
    """Columns (n, k), log-odds of modalities and targets (n, policies) to learn from."""

    columns: Floats
    log_odds: Floats
    targets: Floats

    def take(self, mask: Any) -> _Rows:
        return _Rows(self.columns[mask], self.log_odds[mask], self.targets[mask])

    def blank(self) -> AttributeWeights:
        """Weights that add nothing."""
        width, policies = self.columns.shape[1], self.targets.shape[1]
        return AttributeWeights(
            direct=np.zeros((width, policies)),
            evidence=np.zeros((width, policies)),
            offset=np.zeros(policies),
            slope=np.zeros(policies),
            inward=np.zeros((width + policies, 0)),
            bend=np.zeros(0),
            outward=np.zeros((0, policies)),
        )

    def loss(self, adds: Floats) -> float:
        """Mean log-loss over all labels."""
        is_known = ~np.isnan(self.targets)
        losses = _losses((self.log_odds + adds)[is_known], self.targets[is_known])
        return float(losses.mean()) if len(losses) else 0.0

    def minimised(self, start: AttributeWeights, ridge: float, steps: int) -> AttributeWeights:
        """Weights of least penalised log-loss, from others on; convex without hidden units."""
        shapes = {name: part.shape for name, part in vars(start).items()}
        ends = np.cumsum([part.size for part in vars(start).values()])[:-1]

        def parts(flat: Floats) -> dict[str, Floats]:
            pieces = zip(shapes.items(), np.split(flat, ends), strict=True)
            return {name: piece.reshape(shape) for (name, shape), piece in pieces}

        columns, spoken = self.columns, evidence_of(self.log_odds)
        is_known = ~np.isnan(self.targets)
        known = np.where(is_known, self.targets, 0.0)

        def objective(flat: Floats) -> tuple[float, Floats]:
            weights = parts(flat)
            inward = weights["inward"]
            average = spoken @ inward[columns.shape[1] :] + weights["bend"]
            units = average + columns @ inward[: columns.shape[1]]
            bent = np.maximum(units, 0.0) - np.maximum(average, 0.0)
            fused = self.log_odds + columns @ weights["direct"] + bent @ weights["outward"]
            fused += weights["offset"]
            fused += (weights["slope"] + columns @ weights["evidence"]) * spoken
            error = np.where(is_known, sigmoid(fused) - known, 0.0)
            back = error @ weights["outward"].T
            on, off = back * (units > 0.0), back * (average > 0.0)
            slopes = {
                "direct": columns.T @ error,
                "evidence": columns.T @ (error * spoken),
                "offset": error.sum(axis=0),
                "slope": (error * spoken).sum(axis=0),
                "inward": np.concatenate([columns.T @ on, spoken.T @ (on - off)]),
                "bend": (on - off).sum(axis=0),
                "outward": bent.T @ error,
            }
            value = float((_losses(fused, known) * is_known).sum())
            for name in _PENALISED:
                value += 0.5 * ridge * float((weights[name] ** 2).sum())
                slopes[name] = slopes[name] + ridge * weights[name]
            return value, np.concatenate([slopes[name].ravel() for name in shapes])

        flat = np.concatenate([part.ravel() for part in vars(start).values()])
        solution = minimize(
            objective, flat, jac=True, method="L-BFGS-B", options={"maxiter": steps}
        )
        return AttributeWeights(**parts(np.asarray(solution.x)))


def _gain(alone: tuple[Floats, Floats], fused: Floats, targets: Floats, authors: Any) -> PolicyGain:
    """What attributes gain beside the better of two answers without them."""
    is_known = ~np.isnan(targets)
    flags = targets[is_known]
    if not len(flags):
        return PolicyGain(False, 0.0, 0.0, 0.0)
    without = min((_losses(own[is_known], flags) for own in alone), key=np.mean)
    losses = _losses(fused[is_known], flags)
    gains = without - losses
    doubt = _standard_error(gains, authors[is_known])
    violations = int((flags >= 0.5).sum())
    is_seen = min(violations, len(flags) - violations) >= _LEAST_OF_A_KIND
    is_gain = is_seen and bool(gains.mean() > max(_DOUBTS * doubt, _LEAST_GAIN))
    return PolicyGain(is_gain, float(without.mean()), float(losses.mean()), doubt)


def _standard_error(gains: Floats, authors: Any) -> float:
    """Of a mean over authors, and over posts at least: all may be of one author."""
    _, places = np.unique(authors, return_inverse=True)
    apart = gains - gains.mean()
    sums = np.bincount(places, weights=apart)
    return float(np.sqrt(max((sums**2).sum(), (apart**2).sum())) / len(gains))


def _losses(log_odds: Floats, targets: Floats) -> Floats:
    return np.asarray(np.logaddexp(0.0, log_odds) - targets * log_odds)
