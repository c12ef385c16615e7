"""Rows split at random into parts to learn, to calibrate and to be measured on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.contract import ContractError
from lib.declaration import require_share

Rows = npt.NDArray[np.int64]
FEWEST_OF_A_LABEL = 5
"""Rows of each label that every part needs."""
PARTS = ("train", "calibrate", "test")


@dataclass(frozen=True)
class SplitSettings:
    """How rows are split."""

    test_share: float = 0.2
    """share of rows that the model is measured on, 0 to 1"""
    calibrate_share: float = 0.2
    """share of rows that its probabilities are calibrated on, 0 to 1"""

    def check(self) -> None:
        """Refuse shares that leave nothing to learn from.

        Raises:
            ContractError: names the option.
        """
        require_share("--split.test-share", self.test_share, ContractError)
        require_share("--split.calibrate-share", self.calibrate_share, ContractError)
        if self.test_share + self.calibrate_share > 0.8:
            raise ContractError(
                "--split.test-share and --split.calibrate-share: at least a fifth of the rows must "
                f"be left to learn from, got {self.test_share} and {self.calibrate_share}"
            )


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, ascending; no row is in two.

    Attributes:
        train: to learn from.
        calibrate: to calibrate probabilities on.
        test: to be measured on.
        groups: (all rows,) what each row is of; the row itself where nothing is told.
        is_grouped: whether rows of one group stayed together.
    """

    train: Rows
    calibrate: Rows
    test: Rows
    groups: Rows
    is_grouped: bool

    @property
    def words(self) -> str:
        """How rows were split, for people."""
        kept = (
            "at random by group: all rows of one group are in one part"
            if self.is_grouped
            else "at random, each label in the same shares in every part"
        )
        return (
            f"{kept}; {len(self.train):,} rows to learn from, {len(self.calibrate):,} to calibrate "
            f"on, {len(self.test):,} to be measured on"
        )


def split_rows(
    labels: npt.ArrayLike,
    group_ids: npt.NDArray[np.object_] | None,
    settings: SplitSettings,
    seed: int,
) -> Split:
    """Parts of the rows, drawn at random.

    Without groups each label is split by itself (stratified). With groups, groups that have a
    positive row and groups that have none are.

    Args:
        labels: (rows,) 0/1.
        group_ids: (rows,) what each row is of, None where it is not told; None for no groups.
        settings: shares of the parts.
        seed: of the draws.

    Raises:
        ContractError: a part would have too few rows of a label.
    """
    flags = np.asarray(labels, dtype=np.bool_)
    groups = _codes(group_ids, len(flags))
    is_positive = np.zeros(int(groups.max()) + 1 if len(groups) else 0, dtype=np.bool_)
    is_positive[groups[flags]] = True
    part_of = np.zeros(len(is_positive), dtype=np.int64)
    generator = np.random.default_rng(seed)
    for label in (False, True):
        members = generator.permutation(np.flatnonzero(is_positive == label))
        test = round(settings.test_share * len(members))
        calibrate = round(settings.calibrate_share * len(members))
        part_of[members[:test]] = 2
        part_of[members[test : test + calibrate]] = 1
    parts = [np.flatnonzero(part_of[groups] == part) for part in range(len(PARTS))]
    _refuse_few(flags, parts)
    return Split(parts[0], parts[1], parts[2], groups, group_ids is not None)


def _codes(group_ids: npt.NDArray[np.object_] | None, rows: int) -> Rows:
    """A number for each row's group; a row without one is a group of its own."""
    if group_ids is None:
        return np.arange(rows)
    ids: list[Any] = [
        (group, -1) if group is not None else ("", row) for row, group in enumerate(group_ids)
    ]
    index = {key: number for number, key in enumerate(dict.fromkeys(ids))}
    return np.array([index[key] for key in ids], dtype=np.int64)


def _refuse_few(flags: npt.NDArray[np.bool_], parts: list[Rows]) -> None:
    for name, rows in zip(PARTS, parts, strict=True):
        for label in (True, False):
            count = int((flags[rows] == label).sum())
            if count < FEWEST_OF_A_LABEL:
                total = int((flags == label).sum())
                raise ContractError(
                    f"{count:,} rows whose label is {str(label).lower()} would be in the part to "
                    f"{name}, of {total:,} in all {len(flags):,} rows; at least "
                    f"{FEWEST_OF_A_LABEL} are needed: give more rows, other shares (--split), or "
                    "check which values of the label are true"
                )
