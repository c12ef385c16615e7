"""Stops asking what does not answer, so that callers need not wait for its timeout each time."""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Opens after some failures in a row; then one trial per `rest` seconds is let through.

    Args:
        failures: in a row that open it.
        rest: seconds between trials.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        failures: int = 3,
        rest: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._rest, self._clock = failures, rest, clock
        self._failed = 0
        self._next_trial = 0.0

    @property
    def open(self) -> bool:
        """Whether the last calls failed and no trial is due: `allows` would say no."""
        return self._failed >= self._limit and self._clock() < self._next_trial

    def allows(self) -> bool:
        """Whether to call now; after failures, True once per `rest`."""
        if self.open:
            return False
        if self._failed >= self._limit:
            self._next_trial = self._clock() + self._rest
        return True

    def succeeded(self) -> None:
        """Closes it."""
        self._failed = 0

    def failed(self) -> None:
        """Counts a failure."""
        self._failed += 1
        if self._failed == self._limit:
            self._next_trial = self._clock() + self._rest
