"""An intervention beside doing nothing: the customers of two arms of an experiment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """Customers who got an intervention by chance, and customers who might have.

    Attributes:
        matrix: (rows, attributes) known before chance decided; NaN is missing.
        treated: (rows,) who got the intervention.
        outcomes: (rows,) 0 or 1.
        propensity: (rows,) chance to get it, between 0 and 1.
        places: (rows,) of the customers in the experiment.
        among: how many customers the experiment has, those of other interventions included.
        is_unwanted: whether the outcome is to be prevented: a gain is then a fall of its chance.
    """

    matrix: Floats
    treated: Flags
    outcomes: Floats
    propensity: Floats
    places: Rows
    among: int
    is_unwanted: bool = False

    def __len__(self) -> int:
        return len(self.outcomes)

    def take(self, rows: Flags | Rows) -> Comparison:
        """Some of the customers."""
        return replace(
            self,
            matrix=self.matrix[rows],
            treated=self.treated[rows],
            outcomes=self.outcomes[rows],
            propensity=self.propensity[rows],
            places=self.places[rows],
        )

    @property
    def weights(self) -> Floats:
        """One over the chance of what each customer got (rows,)."""
        return np.where(self.treated, 1.0 / self.propensity, 1.0 / (1.0 - self.propensity))

    @property
    def sign(self) -> float:
        """1 where more outcomes are a gain, -1 where fewer are."""
        return -1.0 if self.is_unwanted else 1.0

    def folds(self, count: int, seed: int) -> Rows:
        """A fold of each customer (rows,), each with the same mix of arms and outcomes."""
        draw = np.random.default_rng(seed)
        folds = np.zeros(len(self), dtype=np.int64)
        kinds = 2 * self.treated + (self.outcomes > 0.5)
        for kind in range(4):
            members = draw.permutation(np.flatnonzero(kinds == kind))
            folds[members] = np.arange(len(members)) % count
        return folds

    def splits(self, count: int, seed: int) -> Iterator[tuple[Flags, Flags]]:
        """Customers to learn from, and the others, of each fold."""
        folds = self.folds(count, seed)
        for fold in range(count):
            yield folds != fold, folds == fold
