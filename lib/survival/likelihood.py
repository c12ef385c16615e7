"""The likelihood of hazards that are constant within intervals."""

from __future__ import annotations

from torch import Tensor

from lib.survival.outcomes import SurvivalError

_LEAST = 1e-12


def hazard_loss(hazards: Tensor, exposure: Tensor, event: Tensor, interval: Tensor) -> Tensor:
    """Mean negative log-likelihood; differentiable.

    A subject adds the hazards of all causes times its time at risk, less the log of the hazard of
    the cause that ended it in the interval where it did. Time before its entry is no time at risk,
    which is all that left truncation needs. Friedman, Annals of Statistics 10 (1982); competing
    causes as in Putter, Fiocco and Geskus, Statistics in Medicine 26 (2007).

    Args:
        hazards: (n, causes, m), above 0, per unit of time.
        exposure: (n, m) time at risk in each interval.
        event: (n,) 0 censored, else the cause from 1.
        interval: (n,) where it ended, 0 to m - 1.

    Raises:
        SurvivalError: shapes do not belong together.
    """
    n, _, m = hazards.shape
    if exposure.shape != (n, m) or event.shape != (n,) or interval.shape != (n,):
        raise SurvivalError(
            f"expected exposure ({n}, {m}), event and interval ({n},), got "
            f"{tuple(exposure.shape)}, {tuple(event.shape)} and {tuple(interval.shape)}"
        )
    risk = (hazards.sum(dim=1) * exposure).sum(dim=1)
    cause = (event - 1).clamp(min=0)
    at_end = hazards.gather(2, interval[:, None, None].expand(n, hazards.shape[1], 1))[:, :, 0]
    ended = at_end.gather(1, cause[:, None])[:, 0]
    gain = ended.clamp(min=_LEAST).log() * (event > 0)
    return (risk - gain).mean()
