"""A week to be planned: jobs that could be done, and what there is to do them with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SLOTS = 168
"""Hours of a week without a clock change."""

_WEEKS = (SLOTS - 1, SLOTS, SLOTS + 1)


class ScheduleError(ValueError):
    """A week, a job or a change cannot be meant; the message names the field."""


@dataclass(frozen=True)
class Job:
    """The service that one machine could be given this week.

    Args:
        machine_id: names the machine; one job each.
        plant: where it stands.
        line: the production line whose minimum counts it, "" for none.
        skill: of the technicians who do it.
        crew: technicians at once.
        duration_hours: whole hours that it takes, during which the machine stands.
        survival: (slots + 1,) chance that the machine has not failed by the start of each hour,
            from 1.
        service_cost: labour and parts, in money.
        failure_cost: all of a failure: repair, parts, and the production lost until it runs.
        downtime_cost_per_hour: production lost for each hour that a service takes, at weight 1.
        cycle_cost_per_hour: what a machine costs per hour in the long run, see `cycle_cost`: the
            price of a renewed hour that is given away by serving earlier.
        later_hours: (k,) hours beyond the week, ascending, above 0.
        later_survival: (k,) chance to be alive then, as seen from the week's start. Without them
            the service is taken to be due when the week ends.
        parts: parts from the store, how many of each.
        forbidden: slots in which it may not stand, for instance while an order runs.
        must_serve: whether safety demands it this week.
        locked_start: a start that people fixed; None: free.
        locked_out: people said: not this week.
    """

    machine_id: str
    plant: str
    line: str
    skill: str
    crew: int
    duration_hours: int
    survival: Floats
    service_cost: float
    failure_cost: float
    downtime_cost_per_hour: float
    cycle_cost_per_hour: float
    later_hours: Floats = field(default_factory=lambda: np.empty(0))
    later_survival: Floats = field(default_factory=lambda: np.empty(0))
    parts: Mapping[str, int] = field(default_factory=dict)
    forbidden: frozenset[int] = frozenset()
    must_serve: bool = False
    locked_start: int | None = None
    locked_out: bool = False

    def __post_init__(self) -> None:
        if self.survival.ndim != 1 or self.slots not in _WEEKS or self.survival[0] != 1.0:
            self._fail("survival", f"{SLOTS + 1} values from 1", self.survival.shape)
        if not np.isfinite(self.survival).all() or (np.diff(self.survival) > 0).any():
            self._fail("survival", "values that never rise", "others")
        self._in_range()
        later = np.append(self.survival[-1:], self.later_survival)
        hours = np.append(0.0, self.later_hours)
        if len(later) != len(hours) or (np.diff(later) > 0).any() or (np.diff(hours) <= 0).any():
            self._fail(
                "later_survival", "values that never rise, one for each later hour", "others"
            )
        if self.locked_out and (self.must_serve or self.locked_start is not None):
            self._fail("locked_out", "no lock at a start and no duty to serve beside it", "both")

    @property
    def slots(self) -> int:
        """Hours of the week that it is planned in."""
        return len(self.survival) - 1

    def _in_range(self) -> None:
        last = self.slots - self.duration_hours
        start = self.locked_start
        for name, least, value in (
            ("crew", 1, self.crew),
            ("duration_hours", 1, self.duration_hours),
            ("service_cost", 0, self.service_cost),
            ("failure_cost", 0, self.failure_cost),
            ("downtime_cost_per_hour", 0, self.downtime_cost_per_hour),
            ("cycle_cost_per_hour", 0, self.cycle_cost_per_hour),
        ):
            if not (np.isfinite(value) and value >= least):
                self._fail(name, f"{least} or more", value)
        if last < 0:
            self._fail("duration_hours", f"up to {self.slots}", self.duration_hours)
        if start is not None and not 0 <= start <= last:
            self._fail("locked_start", f"a slot from 0 to {last}", start)

    def _fail(self, name: str, expected: str, value: object) -> None:
        raise ScheduleError(f"job of '{self.machine_id}': {name}: expected {expected}, got {value}")

    @property
    def starts(self) -> Ints:
        """Slots at which it may start, its locks and forbidden hours observed."""
        if self.locked_out:
            return np.empty(0, dtype=np.int64)
        if self.locked_start is not None:
            return np.array([self.locked_start], dtype=np.int64)
        stands = np.zeros(self.slots + 1, dtype=np.int64)
        stands[[slot + 1 for slot in self.forbidden if 0 <= slot < self.slots]] = 1
        counted = np.cumsum(stands)
        first = np.arange(self.slots - self.duration_hours + 1)
        free: Ints = first[counted[first + self.duration_hours] == counted[first]]
        return free


@dataclass(frozen=True)
class Week:
    """What there is: people, money, parts, and how much must keep running.

    Args:
        start: of slot 0, with a time zone.
        technicians: by plant and skill, (slots,) how many are there in each hour.
        budget: for services, in money; inf for no bound.
        parts: in the store; a part that is not named is not there.
        line_minimum: by line, how many of its machines must not stand for service at once.
        production: (slots,) weight of an hour's production, 1 on average; 1 throughout if None.
        slots: hours of the week: 168; 167 or 169 where clocks change in it.
    """

    start: datetime
    technicians: Mapping[tuple[str, str], Ints]
    budget: float = np.inf
    parts: Mapping[str, int] = field(default_factory=dict)
    line_minimum: Mapping[str, int] = field(default_factory=dict)
    production: Floats | None = None
    slots: int = SLOTS

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise ScheduleError("week: start: expected a time with a zone, got one without")
        if not self.budget >= 0:
            raise ScheduleError(f"week: budget: expected 0 or more, got {self.budget}")
        for (plant, skill), there in self.technicians.items():
            if np.shape(there) != (self.slots,) or (np.asarray(there) < 0).any():
                raise ScheduleError(
                    f"week: technicians of {skill} at {plant}: expected {self.slots} counts of "
                    f"0 or more, got shape {np.shape(there)}"
                )
        if self.production is not None and self.production.shape != (self.slots,):
            raise ScheduleError(
                f"week: production: expected {self.slots} weights, got {self.production.shape}"
            )

    @property
    def weights(self) -> Floats:
        """(slots,) weight of each hour's production."""
        return np.ones(self.slots) if self.production is None else self.production

    def there(self, plant: str, skill: str) -> Ints:
        """(slots,) technicians of a skill at a plant; nobody where none are named."""
        return np.asarray(
            self.technicians.get((plant, skill), np.zeros(self.slots)), dtype=np.int64
        )


@dataclass(frozen=True)
class Problem:
    """Jobs and a week.

    Raises:
        ScheduleError: a machine has two jobs, or a line's minimum is more than its machines.
    """

    jobs: Sequence[Job]
    week: Week

    def __post_init__(self) -> None:
        names = [job.machine_id for job in self.jobs]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ScheduleError(f"machine '{twice}' has two jobs; give one each")
        for job in self.jobs:
            if job.slots != self.week.slots:
                raise ScheduleError(
                    f"job of '{job.machine_id}': survival: expected {self.week.slots + 1} values, "
                    f"one for each hour of the week, got {job.slots + 1}"
                )
        for line, minimum in self.week.line_minimum.items():
            if self.line_size(line) and minimum > self.line_size(line):
                raise ScheduleError(
                    f"week: line_minimum of {line}: expected up to its {self.line_size(line)} "
                    f"machines, got {minimum}"
                )

    def line_size(self, line: str) -> int:
        """How many machines of a line have a job."""
        return sum(job.line == line for job in self.jobs)
