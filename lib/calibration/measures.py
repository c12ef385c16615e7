"""How far stated probabilities are from what happens."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of rows of like probability: what was said (mean) and what happened (rate)."""

    rows: int
    stated: float
    observed: float


def reliability(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 15
) -> tuple[ReliabilityBin, ...]:
    """Rows in bins of about equal size by probability, from low to high.

    Equal probabilities always share a bin, so there may be fewer bins than asked for. Bins of equal
    size because at a prevalence below 1% bins of equal width leave nearly all rows in one:
    Nixon et al., Measuring calibration in deep learning (2019).

    Args:
        labels: (n,) 0/1.
        probabilities: (n,) within 0 and 1; anything else is refused with ValueError.
        bins: how many, 1 or more.
    """
    flags = np.asarray(labels, dtype=np.float64)
    stated = np.asarray(probabilities, dtype=np.float64)
    if flags.ndim != 1 or flags.shape != stated.shape or not len(flags) or bins < 1:
        raise ValueError(
            f"expected labels and probabilities of one length and bins >= 1, got {flags.shape}, "
            f"{stated.shape} and {bins}"
        )
    if not ((stated >= 0) & (stated <= 1)).all():
        raise ValueError("probabilities: expected numbers within 0 and 1")
    edges = np.quantile(stated, np.linspace(0, 1, bins + 1)[1:-1], method="lower")
    bin_index = np.unique(np.searchsorted(edges, stated, side="left"), return_inverse=True)[1]
    rows = np.bincount(bin_index)
    means = np.bincount(bin_index, weights=stated) / rows
    rates = np.bincount(bin_index, weights=flags) / rows
    return tuple(
        ReliabilityBin(int(count), float(mean), float(rate))
        for count, mean, rate in zip(rows, means, rates, strict=True)
    )


def expected_calibration_error(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 15
) -> float:
    """Mean distance between stated and observed, over bins of equal size, weighted by rows.

    Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning
    (2015), with the bins of `reliability`.
    """
    table = reliability(labels, probabilities, bins)
    total = sum(row.rows for row in table)
    return sum(row.rows * abs(row.stated - row.observed) for row in table) / total


def calibration_error_by_chance(
    probabilities: npt.ArrayLike,
    bins: int = 15,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    repeats: int = 100,
) -> float:
    """The expected calibration error that probabilities would show if every one were true.

    With few rows it is well above 0: Roelofs et al., Mitigating bias in calibration error
    estimation (2022). What was measured means something by how far it is above this.

    Args:
        probabilities: (n,) within 0 and 1.
        bins: as given to `expected_calibration_error`.
        groups: (n,) rows of one group have one outcome, as posts with one picture have; None gives
            every row its own.
        seed: of the outcomes drawn.
        repeats: draws that are averaged.
    """
    stated = np.asarray(probabilities, dtype=np.float64)
    group_ids = np.arange(len(stated)) if groups is None else np.asarray(groups)
    codes = np.unique(group_ids, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    drawn = [
        expected_calibration_error(rng.random(codes.max() + 1)[codes] < stated, stated, bins)
        for _ in range(repeats)
    ]
    return float(np.mean(drawn))
