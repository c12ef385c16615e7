"""Whether the model that decides in a replica is still the champion of its experiment."""

from __future__ import annotations

import time
from collections.abc import Callable

from lib.experiment.declaration import Experiment


class ChampionWatch:
    """Compares the versions that decide with the declared champion.

    An experiment may be started before every replica has loaded its champion: that is waited for.
    Once the declared version has decided, another one means that the champion was replaced, and
    what is decided from then on says nothing of the declared pair.

    Args:
        experiment: between versions.
        patience: seconds to wait for a replica to load the declared champion.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        experiment: Experiment,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._experiment, self._patience, self._clock = experiment, patience, clock
        self._was_met = False
        self._other: str | None = None
        self._since = 0.0

    def add(self, version: str | None) -> None:
        """Takes in the version behind a champion's decision; None where no model answered."""
        if version == self._experiment.champion:
            self._was_met, self._other = True, None
        elif version is not None and self._other is None:
            self._other, self._since = version, self._clock()

    def fault(self) -> str | None:
        """Why the experiment has to end, in words; None while it may go on."""
        waited = self._clock() - self._since
        if self._other is None or not (self._was_met or waited >= self._patience):
            return None
        declared = self._experiment
        if self._other == declared.challenger:
            return f"its challenger {declared.challenger} became the champion"
        verb = "was replaced by" if self._was_met else "does not decide here, but"
        return f"its champion {declared.champion} {verb} {self._other}; start another experiment"
