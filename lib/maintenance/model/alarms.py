"""Alarms by the row: which failures they announce, how often they are false, what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.history import Floats, Ints
from lib.maintenance.model.costs import Costs
from lib.maintenance.model.rows import ColumnRows, TrainingRows

MONTH_HOURS = 730.5
_EPISODE_US = 24 * HOUR_US
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AlarmWindow(ColumnRows):
    """Rows of machines over time, and the failures that follow them.

    Attributes:
        machines, at_us: (n,) of the rows, by machine and time.
        hours: (n,) to the failure, inf where none was seen.
        lasting: (n,) hours that each row was watched.
        step_hours: between two rows of a machine.
    """

    machines: npt.NDArray[np.str_]
    at_us: Ints
    hours: Floats
    lasting: Floats
    step_hours: float

    @classmethod
    def of(cls, rows: TrainingRows) -> AlarmWindow:
        """The watch of rows that are ordered by machine and time."""
        outcomes = rows.outcomes
        gaps = np.diff(rows.at_us)[rows.machines[1:] == rows.machines[:-1]]
        step = float(np.median(gaps)) / HOUR_US if len(gaps) else 24.0
        hours = np.where(outcomes.failed, outcomes.time, np.inf)
        return cls(rows.machines, rows.at_us, hours, outcomes.time, step)

    @property
    def machine_months(self) -> float:
        """Machine-months that the rows stand for."""
        return len(self.at_us) * self.step_hours / MONTH_HOURS


def false_alarms(watch: AlarmWindow, alarms: Mask, within_hours: float) -> float:
    """Episodes of alarms without a failure in the hours after, per machine-month.

    Alarms of a machine within a day of each other are one episode; rows that were not watched for
    so long cannot say, and do not count.
    """
    wrong = alarms & (watch.hours > within_hours) & (watch.lasting >= within_hours)
    return len(_episodes(watch, wrong)) / max(watch.machine_months, 1e-9)


def _episodes(watch: AlarmWindow, wrong: Mask) -> Ints:
    """First row of each episode."""
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return rows.astype(np.int64)
    later = np.diff(watch.at_us[rows]) > max(_EPISODE_US, 1.5 * watch.step_hours * HOUR_US)
    other = watch.machines[rows][1:] != watch.machines[rows][:-1]
    first: Ints = rows[np.append(True, later | other)].astype(np.int64)
    return first


def threshold_for(watch: AlarmWindow, scores: Floats, within_hours: float, most: float) -> float:
    """The lowest score at which false alarms stay within `most` per machine-month."""
    return lowest_within(scores, lambda alarms: false_alarms(watch, alarms, within_hours), most)


def lowest_within(scores: Floats, rate: Callable[[Mask], float], most: float) -> float:
    """The lowest score at which alarms are not too many, by bisection; inf where any is.

    Args:
        scores: (rows,) an alarm is given from the threshold on.
        rate: of alarms, given (rows,) which rows raise one; the more do, the higher.
        most: the highest rate that is accepted.
    """
    values = np.append(np.unique(scores), np.inf)
    low, high = -1, len(values) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if rate(scores >= values[middle]) <= most:
            high = middle
        else:
            low = middle
    return float(values[high])


@dataclass(frozen=True)
class WarningStats:
    """Per failure: whose, whether it was announced, and how long before.

    Attributes:
        machines: (k,) of the failures.
        early: (k,) whether an alarm came 24 h ahead or more, and within the alarm's hours.
        lead_hours: (k,) of the first such alarm; NaN without.
    """

    machines: npt.NDArray[np.str_]
    early: Mask
    lead_hours: Floats


def warned(
    watch: AlarmWindow, alarms: Mask, within_hours: float, ahead_hours: float = 24.0
) -> WarningStats:
    """The failures that have rows `ahead_hours` to `within_hours` before them, and their alarms."""
    counts = (watch.hours >= ahead_hours) & (watch.hours <= within_hours)
    seconds = _failure_seconds(watch.take(counts)).astype(str)
    keys = np.char.add(np.char.add(watch.machines[counts], " "), seconds)
    names, first, owner = np.unique(keys, return_index=True, return_inverse=True)
    lead = np.full(len(names), np.nan)
    has_alarm = alarms[counts]
    for index, hours in zip(owner[has_alarm], watch.hours[counts][has_alarm], strict=True):
        lead[index] = hours if np.isnan(lead[index]) else max(lead[index], hours)
    return WarningStats(watch.machines[counts][first], np.isfinite(lead), lead)


def _failure_seconds(watch: AlarmWindow) -> Ints:
    """(n,) when each row's failure came, the same number for all rows before it."""
    exact = watch.at_us + np.round(watch.hours * HOUR_US).astype(np.int64)
    return np.asarray((exact + 250_000) // 1_000_000)


@dataclass(frozen=True)
class ReplayResult:
    """What a policy would have come to, by machine.

    Attributes:
        machines: (k,) names.
        services, failures, avoided: (k,) counts; `failures` came in spite of the policy.
        cost: (k,) in money.
        months: (k,) that each was watched.
    """

    machines: npt.NDArray[np.str_]
    services: Ints
    failures: Ints
    avoided: Ints
    cost: Floats
    months: Floats


def replay(watch: AlarmWindow, alarms: Mask, costs: Costs) -> ReplayResult:
    """Each alarm calls for a service `costs.respond_hours` later, and it then helps for a while.

    A failure that came within `credit_hours` of such a service would not have come; while it
    helps, further alarms call for nothing. What a service does to failures after that is not
    known from a record of the past, so nothing is claimed.
    """
    names, starts = np.unique(watch.machines, return_index=True)
    ends = np.append(starts[1:], len(watch.machines))
    machine_counts = [
        _replay_machine(watch.take(np.arange(a, b)), alarms[a:b], costs)
        for a, b in zip(starts, ends, strict=True)
    ]
    counts = np.array(machine_counts, dtype=np.int64).reshape(len(names), 3)
    cost = costs.service * counts[:, 0] + costs.failure * counts[:, 1]
    months = np.asarray((ends - starts) * watch.step_hours / MONTH_HOURS, dtype=np.float64)
    return ReplayResult(names, counts[:, 0], counts[:, 1], counts[:, 2], cost, months)


def _replay_machine(watch: AlarmWindow, alarms: Mask, costs: Costs) -> tuple[int, int, int]:
    """Services, failures and avoided failures of one machine."""
    failures = np.unique(_failure_seconds(watch.take(np.isfinite(watch.hours))))
    respond, credit = costs.respond_hours * 3600.0, costs.credit_hours * 3600.0
    services: list[float] = []
    for at in (watch.at_us[alarms] // 1_000_000).tolist():
        done = at + respond
        broken = ((failures > at) & (failures <= done)).any()
        if not broken and (not services or done > services[-1] + credit):
            services.append(done)
    served = np.array(services)
    avoided = sum(bool(((served < t) & (t <= served + credit)).any()) for t in failures.tolist())
    return len(services), len(failures) - avoided, avoided


def cheapest_threshold(watch: AlarmWindow, scores: Floats, costs: Costs, tries: int = 40) -> float:
    """The score from which alarms would have cost least; inf where none is worth it."""
    values = np.append(np.quantile(scores, np.linspace(0.0, 1.0, tries)), np.inf)
    spent = [float(replay(watch, scores >= value, costs).cost.sum()) for value in values]
    return float(values[int(np.argmin(spent))])
