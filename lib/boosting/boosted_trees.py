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

    def contributions(
        self, matrix: npt.NDArray[np.floating[Any]]
    ) -> tuple[npt.NDArray[np.float64], float]:
        """Mean SHAP values (rows, features), XGBoost's own, and the log-odds they start from.

        Lundberg, Erion, Lee: Consistent individualized feature attribution for tree ensembles
        (2018). With what they start from they add up to `log_odds`.
        """
        rows = xgb.DMatrix(matrix.astype(np.float32, copy=False))
        parts = [booster.predict(rows, pred_contribs=True) for booster in self.boosters]
        mean = np.mean(np.asarray(parts, dtype=np.float64), axis=0)
        return mean[:, :-1], float(mean[0, -1]) if len(mean) else 0.0

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
