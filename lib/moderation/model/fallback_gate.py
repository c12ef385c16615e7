"""Keeps fusion from losing to the best single modality, on any set of modalities present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.calibration import Calibrator, fit_calibrator
from lib.moderation.model.inputs import Marks
from lib.moderation.model.outputs import Floats, Presence
from lib.moderation.post import MODALITIES

_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
# rows and violations of a pattern below which nothing is learnt about it
_LEAST_ROWS, _LEAST_OF_A_KIND = 40, 5


@dataclass(frozen=True)
class SingleModalityGate:
    """How far the network is believed, by pattern of modalities and policy.

    Attributes:
        singles: by modality, then policy: from its own log-odds to calibrated ones.
        shares: (2 ** modalities, policies) weight of the network in the mean of log-odds.
        best: (2 ** modalities, policies) the single modality that has the rest.
    """

    singles: tuple[tuple[Calibrator, ...], ...]
    shares: Floats
    best: Floats

    def apply(self, fused: Floats, odds: Floats, presence: Marks) -> Floats:
        """Log-odds (n, policies).

        Args:
            fused: (n, policies) of the network.
            odds: (modalities, n, policies) of each modality.
            presence: (n, modalities).
        """
        pattern = patterns(presence)
        single_odds = self.singles_of(odds)
        share = self.shares[pattern]
        which = self.best[pattern].astype(np.int64)
        rows, columns = np.indices(fused.shape)
        return np.asarray(share * fused + (1.0 - share) * single_odds[which, rows, columns])

    def singles_of(self, odds: Floats) -> Floats:
        """Calibrated log-odds (modalities, n, policies) of each modality alone."""
        single_odds = np.zeros_like(odds)
        for m, row in enumerate(self.singles):
            for p, calibrator in enumerate(row):
                single_odds[m, :, p] = calibrator.log_odds(odds[m, :, p])
        return single_odds

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "singles": [[calibrator.to_json() for calibrator in row] for row in self.singles],
            "shares": self.shares.tolist(),
            "best": self.best.tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> SingleModalityGate:
        """As `to_json` gave it."""
        return cls(
            tuple(tuple(Calibrator.from_json(entry) for entry in row) for row in stored["singles"]),
            np.array(stored["shares"], dtype=np.float64),
            np.array(stored["best"], dtype=np.float64),
        )


def patterns(presence: Marks) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(n,) number of the set of modalities that are present: bit m is modality m."""
    is_present = (presence == Presence.PRESENT).astype(np.int64)
    return np.asarray(is_present @ (1 << np.arange(presence.shape[1])), dtype=np.int64)


def pattern_name(pattern: int) -> str:
    """Words for a pattern, e.g. `text+image`."""
    names = [name for bit, name in enumerate(MODALITIES) if pattern >> bit & 1]
    return "+".join(names) or "nothing"


def fit_guard(fused: Floats, odds: Floats, presence: Marks, targets: Floats) -> SingleModalityGate:
    """Choose how far the network is believed by log-loss on rows that it did not learn from.

    Args:
        fused: (n, policies) of the network.
        odds: (modalities, n, policies) of each modality, exactly 0 where it never learnt a policy.
        presence: (n, modalities).
        targets: (n, policies) within 0 and 1; NaN unknown. Shares of a half and more count as
            violations.
    """
    count = len(MODALITIES)
    is_present = presence == Presence.PRESENT
    singles = tuple(
        tuple(
            _single(odds[m, is_present[:, m], p], targets[is_present[:, m], p])
            for p in range(fused.shape[1])
        )
        for m in range(count)
    )
    start = np.zeros((2**count, fused.shape[1]))
    guard = SingleModalityGate(singles, start, np.zeros_like(start))
    single_odds = guard.singles_of(odds)
    for p in range(fused.shape[1]):
        known_rows = np.flatnonzero(~np.isnan(targets[:, p]))
        flags = targets[known_rows, p] >= 0.5
        _fit_policy(
            guard,
            p,
            fused[known_rows, p],
            single_odds[:, known_rows, p],
            presence[known_rows],
            flags,
        )
    return guard


def _fit_policy(
    guard: SingleModalityGate,
    policy_index: int,
    fused: Floats,
    single_odds: Floats,
    presence: Marks,
    flags: Any,
) -> None:
    """Fills in one policy: each pattern's own choice, or, of patterns seldom seen, that of all."""
    pattern, is_present = patterns(presence), presence == Presence.PRESENT
    sparse = []
    for pattern_code in range(1, len(guard.best)):
        members = [m for m in range(len(single_odds)) if pattern_code >> m & 1]
        rows = np.flatnonzero(pattern == pattern_code)
        enough = len(rows) >= _LEAST_ROWS
        losses = {
            m: _loss(single_odds[m, rows], flags[rows])
            if enough
            else _loss(single_odds[m, is_present[:, m]], flags[is_present[:, m]])
            for m in members
        }
        best = min(losses, key=losses.__getitem__)
        guard.best[pattern_code, policy_index] = best
        if enough and min(flags[rows].sum(), (~flags[rows]).sum()) >= _LEAST_OF_A_KIND:
            guard.shares[pattern_code, policy_index] = _share(
                fused[rows], single_odds[best, rows], flags[rows]
            )
        else:
            sparse.append(pattern_code)
    rows = np.flatnonzero(pattern > 0)
    if sparse and len(rows):
        best_of = guard.best[pattern[rows], policy_index].astype(np.int64)
        guard.shares[sparse, policy_index] = _share(
            fused[rows], single_odds[best_of, rows], flags[rows]
        )


def _single(odds: Floats, targets: Floats) -> Calibrator:
    is_known = ~np.isnan(targets)
    if not is_known.any():
        return Calibrator("temperature", (0.0,), (0.0,))
    return fit_calibrator(odds[is_known], targets[is_known] >= 0.5, "platt")


def _share(fused: Floats, single: Floats, flags: Sequence[bool] | Any) -> float:
    """The share with the least loss, or none where it is not beyond doubt better than none."""
    losses = np.stack([_losses(s * fused + (1.0 - s) * single, flags) for s in _SHARES])
    best = int(np.argmin(losses.mean(axis=1)))
    gain = losses[-1] - losses[best]
    doubt = gain.std() / np.sqrt(len(gain))
    return _SHARES[best] if gain.mean() > doubt else _SHARES[-1]


def _loss(log_odds: Floats, flags: Any) -> float:
    if not len(log_odds):
        return 0.0
    return float(np.mean(_losses(log_odds, flags)))


def _losses(log_odds: Floats, flags: Any) -> Floats:
    return np.asarray(np.logaddexp(0.0, log_odds) - flags * log_odds)
