"""What became of subjects: how long each was watched, and what ended it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
CENSORED = 0
FAILURE = 1


class SurvivalError(ValueError):
    """Outcomes, curves or a grid of times are not what they have to be."""


@dataclass(frozen=True)
class Outcomes:
    """Right-censored outcomes, with any number of competing causes.

    A subject is at risk over (0, time]. All times are in one unit, counted from one origin: hours
    since the landmark, cycles since the first flight.

    Args:
        time: (n,) when it ended, above 0.
        event: (n,) 0 where it was censored, 1 where what is studied happened (a failure), 2 and
            more where another cause came first (preventive service).

    Raises:
        SurvivalError: lengths differ, a time is not finite or not above 0, a code is negative; the
            first such row is named.
    """

    time: Floats
    event: Codes

    def __init__(self, time: npt.ArrayLike, event: npt.ArrayLike) -> None:
        ended = np.asarray(time, dtype=np.float64)
        codes = np.asarray(event).astype(np.int64)
        if not (ended.ndim == 1 and ended.shape == codes.shape):
            raise SurvivalError(
                f"expected time and event of one length, got {ended.shape} and {codes.shape}"
            )
        _refuse(~np.isfinite(ended), "a finite time", ended)
        _refuse(ended <= 0, "a time above 0", ended)
        _refuse(codes < 0, "an event code of 0 or more", codes)
        object.__setattr__(self, "time", ended)
        object.__setattr__(self, "event", codes)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """(n,) where what is studied happened."""
        failed: npt.NDArray[np.bool_] = self.event == FAILURE
        return failed

    @property
    def causes(self) -> int:
        """How many causes can end a subject: the largest code, 1 at least."""
        return max(FAILURE, int(self.event.max(initial=FAILURE)))

    def take(self, rows: npt.ArrayLike) -> Outcomes:
        """The outcomes of some subjects, by row number or mask."""
        chosen = np.asarray(rows)
        return Outcomes(self.time[chosen], self.event[chosen])

    def capped(self, horizon: float) -> Outcomes:
        """The same, watched until `horizon` at most."""
        late = self.time > horizon
        return Outcomes(np.minimum(self.time, horizon), np.where(late, CENSORED, self.event))


def _refuse(bad: npt.NDArray[np.bool_], expected: str, values: npt.NDArray[np.generic]) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise SurvivalError(
            f"expected {expected}, got {values[row]} in row {row} ({int(bad.sum())} such rows)"
        )
