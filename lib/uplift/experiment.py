"""An experiment as a table: its arms, what is compared with what, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.contract import ContractError
from lib.declaration import did_you_mean
from lib.uplift.comparison import Comparison, Floats
from lib.uplift.contracts import ARM, OUTCOME, PROPENSITY

LEAST_OUTCOMES = 30
"""Customers of each arm with the outcome, and without it, below which nothing can be learnt."""


@dataclass(frozen=True)
class Experiment:
    """The rows of an experiment.

    Attributes:
        table: rows that passed their contract.
        matrix: (rows, attributes) encoded.
        control: the arm that got nothing.
        is_unwanted: whether the outcome is to be prevented.
    """

    table: pa.Table
    matrix: Floats
    control: str
    is_unwanted: bool

    def comparisons(self) -> Iterator[tuple[str, Comparison]]:
        """Each intervention beside the control arm, by name.

        Raises:
            ContractError: there is no control arm or no other, an arm is too small, or propensities
                are given for more than one intervention.
        """
        arms = np.array(self.table[ARM].to_pylist(), dtype=np.str_)
        outcomes = self.table[OUTCOME].to_numpy().astype(np.float64)
        names = [name for name in np.unique(arms).tolist() if name != self.control]
        if self.control not in arms:
            raise ContractError(
                f"--control: no row has the arm {self.control!r}; "
                f"{did_you_mean(self.control, names)}"
            )
        if not names:
            raise ContractError(f"arm: expected an intervention beside {self.control!r}, got none")
        for name in (self.control, *names):
            _require_outcomes(name, outcomes[arms == name])
        for name in names:
            rows = np.flatnonzero((arms == name) | (arms == self.control))
            treated = arms[rows] == name
            propensity = self._propensity(rows, treated, len(names))
            yield (
                name,
                Comparison(
                    self.matrix[rows],
                    treated,
                    outcomes[rows],
                    propensity,
                    rows,
                    len(arms),
                    self.is_unwanted,
                ),
            )

    def _propensity(
        self, rows: np.ndarray[tuple[int], np.dtype[np.int64]], treated: np.ndarray[
            tuple[int], np.dtype[np.bool_]
        ], interventions: int
    ) -> Floats:  # fmt: skip
        column = self.table[PROPENSITY]
        if column.null_count == self.table.num_rows:
            return np.full(len(rows), treated.mean())
        if column.null_count:
            raise ContractError(
                f"propensity: expected one in every row or in none, got {column.null_count:,} rows "
                f"of {self.table.num_rows:,} without"
            )
        if interventions > 1:
            raise ContractError(
                "propensity: expected one intervention beside the control arm, got "
                f"{interventions}; give one table for each"
            )
        propensity = np.asarray(column.to_numpy()[rows], dtype=np.float64)
        certain = (propensity <= 0.0) | (propensity >= 1.0)
        if certain.any():
            raise ContractError(
                f"propensity: expected between 0 and 1, got {propensity[certain][0]:g} in "
                f"{int(certain.sum()):,} rows; a certain choice teaches nothing: leave them out"
            )
        return propensity


def _require_outcomes(arm: str, outcomes: Floats) -> None:
    have = int(outcomes.sum())
    if min(have, len(outcomes) - have) < LEAST_OUTCOMES:
        raise ContractError(
            f"arm {arm!r}: expected {LEAST_OUTCOMES} customers or more with the outcome and "
            f"without it, got {have:,} and {len(outcomes) - have:,}"
        )
