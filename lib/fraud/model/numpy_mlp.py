"""The network as plain matrices: what is stored, served and explained, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.fraud.model.inputs import Floats, Matrix, Standardiser


@dataclass(frozen=True)
class DenseNetwork:
    """Layers y = relu(x W + b), the last one without relu; batch norm is folded in.

    Args:
        weights: matrices (inputs, outputs), float32.
        biases: vectors (outputs,), float32.
    """

    weights: tuple[Matrix, ...]
    biases: tuple[Matrix, ...]

    def log_odds(self, inputs: Matrix) -> Matrix:
        """Raw log-odds (rows,), float32, of standardised inputs (rows, width)."""
        values = inputs
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weight + bias, np.float32(0.0))
        return np.asarray((values @ self.weights[-1] + self.biases[-1])[:, 0])

    def path_gradient(self, inputs: Matrix, shares: Matrix) -> Matrix:
        """Mean slope (width,) of the log-odds in each input, along the way from 0 to a row.

        The way is straight, so the first layer is multiplied once, and slopes are averaged before
        they reach it.

        Args:
            inputs: (width,), standardised.
            shares: (steps,) of the way.
        """
        values = shares[:, None] * (inputs @ self.weights[0]) + self.biases[0]
        open_units = [values > 0]
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1], strict=True):
            values = np.maximum(values, np.float32(0.0)) @ weight + bias
            open_units.append(values > 0)
        slopes = open_units[-1] * self.weights[-1].T
        for weight, units in zip(self.weights[-2:0:-1], open_units[-2::-1], strict=True):
            slopes = (slopes @ weight.T) * units
        return np.asarray(slopes.mean(axis=0) @ self.weights[0].T)


@dataclass(frozen=True)
class Networks:
    """A standardiser and the networks behind it; their mean log-odds are the answer."""

    standardiser: Standardiser
    members: tuple[DenseNetwork, ...]

    def log_odds(self, matrix: Matrix) -> Floats:
        """Mean raw log-odds (rows,) of features (rows, features); NaN is missing."""
        inputs = self.standardiser.apply(matrix)
        answers = [member.log_odds(inputs).astype(np.float64) for member in self.members]
        return np.asarray(np.mean(answers, axis=0))

    def contributions(self, row: Matrix, steps: int = 16) -> Floats:
        """What each feature adds to the log-odds of one row, against the average payment.

        Integrated gradients from the standardised mean to the row: Sundararajan, Taly, Yan,
        Axiomatic attribution for deep networks (2017). A feature's missing indicator counts
        towards the feature.

        Args:
            row: (features,) float32.
            steps: midpoints along the way; more are closer to adding up exactly.
        """
        inputs = self.standardiser.apply(row[None, :])[0]
        along = ((np.arange(steps) + 0.5) / steps).astype(np.float32)
        slopes = [member.path_gradient(inputs, along) for member in self.members]
        shares = (np.mean(slopes, axis=0) * inputs).astype(np.float64)
        features = shares[: len(row)].copy()
        features[self.standardiser.indicators] += shares[len(row) :]
        return np.asarray(features)

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Named arrays for a safetensors file."""
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "inputs.mean": self.standardiser.mean,
            "inputs.scale": self.standardiser.scale,
            "inputs.folded": self.standardiser.folded,
            "inputs.indicators": self.standardiser.indicators.astype(np.int64),
        }
        for number, member in enumerate(self.members):
            for layer, (weight, bias) in enumerate(zip(member.weights, member.biases, strict=True)):
                arrays[f"network.{number}.{layer}.weight"] = np.ascontiguousarray(weight)
                arrays[f"network.{number}.{layer}.bias"] = np.ascontiguousarray(bias)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> "Networks":
        """The networks that `to_arrays` described.

        Raises:
            KeyError: an array is missing.
            ValueError: shapes do not follow from one another, or a number is not finite.
        """
        standardiser = Standardiser(
            np.asarray(arrays["inputs.mean"], dtype=np.float32),
            np.asarray(arrays["inputs.scale"], dtype=np.float32),
            np.asarray(arrays["inputs.folded"], dtype=np.bool_),
            np.asarray(arrays["inputs.indicators"], dtype=np.int64),
        )
        members: list[DenseNetwork] = []
        while f"network.{len(members)}.0.weight" in arrays:
            members.append(_member(arrays, f"network.{len(members)}"))
        if not members:
            raise KeyError("network.0.0.weight")
        _check_standardiser(standardiser)
        for member in members:
            _check_member(member, standardiser.width)
        return cls(standardiser, tuple(members))


def _member(arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> DenseNetwork:
    """One network's layers, in order."""
    weights: list[Matrix] = []
    biases: list[Matrix] = []
    while (name := f"{prefix}.{len(weights)}.weight") in arrays:
        biases.append(np.asarray(arrays[f"{prefix}.{len(weights)}.bias"], dtype=np.float32))
        weights.append(np.asarray(arrays[name], dtype=np.float32))
    return DenseNetwork(tuple(weights), tuple(biases))


def _check_standardiser(standardiser: Standardiser) -> None:
    count = len(standardiser.mean)
    if not len(standardiser.scale) == len(standardiser.folded) == count:
        raise ValueError("network: mean, scale and folded must be as many as the features")
    if not (standardiser.scale > 0).all() or not np.isfinite(standardiser.mean).all():
        raise ValueError("network: expected finite means and scales above 0")
    indices = standardiser.indicators
    if len(indices) and not 0 <= indices.min() <= indices.max() < count:
        raise ValueError(f"network: an indicator is of no feature; expected 0 to {count - 1}")


def _check_member(member: DenseNetwork, width: int) -> None:
    """Refuse layers that do not take what the layer before gives, down to one output."""
    for layer, (weight, bias) in enumerate(zip(member.weights, member.biases, strict=True)):
        if weight.shape != (width, len(bias)):
            raise ValueError(
                f"network: layer {layer}: expected ({width}, {len(bias)}) weights, "
                f"got {weight.shape}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"network: layer {layer}: a weight is not a finite number")
        width = len(bias)
    if width != 1:
        raise ValueError(f"network: expected one output, got {width}")
