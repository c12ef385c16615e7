"""Training rows: a machine at a time, what was known of it then, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.maintenance.feature_set import HOUR_US, AssetFeatureSet, FeatureError
from lib.maintenance.features import evaluate
from lib.maintenance.history import Floats, History, Ints
from lib.survival.outcomes import CENSORED, FAILURE, Outcomes

PREVENTIVE_SERVICE = 2
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Landmarks:
    """Rows of one or many machines.

    Attributes:
        machines: (n,) whose row each is.
        at_us: (n,) when, microseconds UTC.
        rows: (n, features).
        outcomes: (n,) hours from then to the next failure (1), or to the preventive service that
            came first (2), or to the end of what is known (0).
    """

    machines: npt.NDArray[np.str_]
    at_us: Ints
    rows: Floats
    outcomes: Outcomes

    def __len__(self) -> int:
        return len(self.at_us)

    def take(self, rows: npt.ArrayLike) -> Landmarks:
        """Some of the rows, by number or mask."""
        chosen = np.asarray(rows)
        return Landmarks(
            self.machines[chosen],
            self.at_us[chosen],
            self.rows[chosen],
            self.outcomes.take(chosen),
        )


def landmarks(
    features: AssetFeatureSet,
    history: History,
    at_us: npt.ArrayLike,
    failures_us: npt.ArrayLike,
    watched_until_us: int,
    services_us: npt.ArrayLike = (),
) -> Landmarks:
    """One machine's rows at `at_us`; times at or after `watched_until_us` are left out.

    Preventive services (`services_us`) end a row as a competing cause: a model of failures treats
    them as censoring, which is right as far as services were planned by what the features know;
    where they follow a calendar, that is so. A failure at the same time comes first.
    """
    at = np.asarray(at_us, dtype=np.int64)
    at = at[at < watched_until_us]
    failure, service = (_next(times, at) for times in (failures_us, services_us))
    end = np.minimum(np.minimum(failure, service), watched_until_us)
    event = np.where(
        failure <= end, FAILURE, np.where(service <= end, PREVENTIVE_SERVICE, CENSORED)
    )
    return Landmarks(
        np.full(len(at), history.machine_id),
        at,
        evaluate(features, history, at),
        Outcomes((end - at) / HOUR_US, event),
    )


def concat(parts: Sequence[Landmarks]) -> Landmarks:
    """Rows of several machines, in their order.

    Raises:
        FeatureError: there are none.
    """
    if not parts:
        raise FeatureError("no machine has a row: check the telemetry and its times")
    return Landmarks(
        np.concatenate([part.machines for part in parts]),
        np.concatenate([part.at_us for part in parts]),
        np.concatenate([part.rows for part in parts]),
        Outcomes(
            np.concatenate([part.outcomes.time for part in parts]),
            np.concatenate([part.outcomes.event for part in parts]),
        ),
    )


def _next(times_us: npt.ArrayLike, at: Ints) -> Ints:
    """The first of the times after each of `at`."""
    times = np.append(np.sort(np.asarray(times_us, dtype=np.int64)), _NEVER)
    return times[np.searchsorted(times, at, side="right")]
