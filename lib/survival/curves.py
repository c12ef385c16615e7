"""Survival curves of many subjects, whichever model they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lib.survival.outcomes import Floats, SurvivalError

Between = Literal["step", "hazard"]
_TINY = 1e-12


@dataclass(frozen=True)
class Curves:
    """S(t) of n subjects at m times.

    Attributes:
        times: (m,) ascending; the first is 0, where S is 1.
        survival: (n, m), falling from 1, within [0, 1].
        between: `step`: S stays until the next time (Kaplan-Meier, Cox); `hazard`: the hazard is
            constant between two times, so that log S is linear. After the last time a step stays
            and the hazard goes on as in the last interval.
    """

    times: Floats
    survival: Floats
    between: Between = "hazard"

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or len(self.times) < 2 or self.times[0] != 0.0:
            raise SurvivalError("expected two times or more, the first of them 0")
        if (np.diff(self.times) <= 0).any():
            raise SurvivalError("expected ascending times")
        if self.survival.ndim != 2 or self.survival.shape[1] != len(self.times):
            raise SurvivalError(
                f"expected survival of shape (n, {len(self.times)}), got {self.survival.shape}"
            )

    def __len__(self) -> int:
        return len(self.survival)

    def at(self, times: npt.ArrayLike) -> Floats:
        """S at `times` (k,), the same for all subjects: (n, k)."""
        eval_times = np.atleast_1d(np.asarray(times, dtype=np.float64))
        left, part = self._places(eval_times)
        if self.between == "step":
            return self.survival[:, np.where(part >= 1.0, left + 1, left)]
        logs = np.log(np.maximum(self.survival, _TINY))
        return np.exp(logs[:, left] + (logs[:, left + 1] - logs[:, left]) * part)

    def own(self, times: npt.ArrayLike) -> Floats:
        """S of each subject at its own time: `times` (n,) to (n,)."""
        eval_times = np.asarray(times, dtype=np.float64)
        rows = np.arange(len(self))
        left, part = self._places(eval_times)
        if self.between == "step":
            survival: Floats = self.survival[rows, np.where(part >= 1.0, left + 1, left)]
            return survival
        before, after = (
            np.log(np.maximum(self.survival[rows, at], _TINY)) for at in (left, left + 1)
        )
        return np.exp(before + (after - before) * part)

    def conditional_after(self, survived: npt.ArrayLike) -> Curves:
        """Curves from now on of subjects (n,) that have come so far: S(t + s) / S(s)."""
        so_far = np.asarray(survived, dtype=np.float64)
        later = np.stack([self.own(so_far + time) for time in self.times], axis=1)
        return Curves(self.times, later / np.maximum(later[:, :1], _TINY), self.between)

    def quantile(self, share: float = 0.5) -> Floats:
        """(n,) first time at which S is `share` or less; inf where it does not fall so far."""
        low = self.survival <= share
        right = low.argmax(axis=1)
        reached = low.any(axis=1)
        times = self.times[right]
        if self.between == "hazard":
            times = np.where(right > 0, self._crossing(right, share), times)
        return np.where(reached, times, np.inf)

    def restricted_mean(self, horizon: float) -> Floats:
        """(n,) mean time until `horizon` at most: the area under S."""
        times = np.unique(np.append(self.times[self.times < horizon], horizon))
        values = self.at(times)
        widths = np.diff(times)
        if self.between == "step":
            return np.asarray(values[:, :-1] @ widths, dtype=np.float64)
        fall = -np.diff(np.log(np.maximum(values, _TINY)), axis=1)
        # the area below exp(-h t) over a width w is (S0 - S1) w / (h w)
        flat = fall < 1e-9
        mean = np.where(flat, values[:, :-1], -np.diff(values, axis=1) / np.where(flat, 1.0, fall))
        return np.asarray(mean @ widths, dtype=np.float64)

    def take(self, rows: npt.ArrayLike) -> Curves:
        """The curves of some subjects, by row number or mask."""
        return Curves(self.times, self.survival[np.asarray(rows)], self.between)

    def _places(self, times: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
        """Interval of each time, and how much of it has passed (more than 1 after the last)."""
        left = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 2)
        width = self.times[left + 1] - self.times[left]
        return left, (times - self.times[left]) / width

    def _crossing(self, right: npt.NDArray[np.int64], share: float) -> Floats:
        rows = np.arange(len(self))
        right = np.maximum(right, 1)
        before, after = (
            np.log(np.maximum(self.survival[rows, at], _TINY)) for at in (right - 1, right)
        )
        fall = np.where(after < before, after - before, -1.0)
        part = np.clip((np.log(max(share, _TINY)) - before) / fall, 0.0, 1.0)
        start = self.times[right - 1]
        times: Floats = start + part * (self.times[right] - start)
        return times
