"""A bag of boosters that differ by their seeds: asked, written and read as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from lib.boosting.booster_file import read_booster


@dataclass(frozen=True)
class BoostedTrees:
    """Fitted boosters; their mean log-odds are the answer."""

    boosters: tuple[xgb.Booster, ...]

    def log_odds(self, matrix: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        """Mean raw log-odds (rows,) of features (rows, features); NaN is missing."""
        rows = matrix.astype(np.float32, copy=False)
        sums = [booster.inplace_predict(rows, predict_type="margin") for booster in self.boosters]
        return np.asarray(np.mean(np.asarray(sums, dtype=np.float64), axis=0))

    @property
    def rounds(self) -> int:
        """Trees of the longest booster."""
        return max(int(booster.num_boosted_rounds()) for booster in self.boosters)

    def to_bytes(self) -> tuple[bytes, ...]:
        """Each booster as UBJ."""
        return tuple(bytes(booster.save_raw("ubj")) for booster in self.boosters)

    @classmethod
    def from_bytes(cls, stored: Sequence[bytes], feature_count: int, threads: int = 1) -> Self:
        """Boosters from UBJ over `feature_count` features; `read_booster` says what is refused."""
        return cls(tuple(read_booster(content, feature_count, threads) for content in stored))
