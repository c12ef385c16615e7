"""Home: a system today, beside the same day of last week up to the same time."""

from __future__ import annotations

from dataclasses import dataclass

from lib.churn.intervention_repository import InterventionRepository
from lib.console.contacts import summary_of
from lib.console.source import SystemSource
from lib.monitoring.repository import RecordedIncident
from lib.records.partitions import DAY
from lib.records.review.statistics import QueueFigures

_WEEK = 7 * DAY
_HOUR = 3_600_000_000
_INCIDENTS_SHOWN, _MOST_PLANS = 3, 20


@dataclass(frozen=True, slots=True)
class DecisionCount:
    """How often a system decided so.

    Attributes:
        decision: the kind.
        today: decisions since midnight UTC.
        before: decisions on the same day of last week, up to the same time of day.
    """

    decision: str
    today: int
    before: int


@dataclass(frozen=True)
class ExperimentState:
    """The experiment that runs.

    Attributes:
        id: its id.
        name: as declared.
        mode: `shadow` or `ab`.
        share: of entities.
        started_at: microseconds since 1970 UTC.
    """

    id: str
    name: str
    mode: str
    share: float
    started_at: int


@dataclass(frozen=True, slots=True)
class MoneyToday:
    """What a system's day is expected to bring, currency units.

    Attributes:
        words: what is counted.
        today: so far.
        before: on the same day of last week up to the same time; None where nothing was planned.
    """

    words: str
    today: float
    before: float | None


@dataclass(frozen=True)
class SystemToday:
    """A system on its own day so far. Times are microseconds since 1970 UTC.

    Attributes:
        system: its name.
        now: when it was read.
        since: midnight UTC before that.
        decisions: by kind, the most frequent first.
        queue: what waits for people.
        incidents: open, the latest first; no more than three.
        incident_count: how many are open.
        experiment: that runs; None where none does.
        money: what the day is expected to bring; None where the records do not hold it: outcomes
            of decisions ripen for weeks, and are on the business pages.
    """

    system: str
    now: int
    since: int
    decisions: tuple[DecisionCount, ...]
    queue: QueueFigures
    incidents: tuple[RecordedIncident, ...]
    incident_count: int
    experiment: ExperimentState | None
    money: MoneyToday | None = None

    @property
    def today(self) -> int:
        """Decisions today."""
        return sum(count.today for count in self.decisions)

    @property
    def before(self) -> int:
        """Decisions last week, up to the same time of the day."""
        return sum(count.before for count in self.decisions)

    @property
    def change(self) -> float | None:
        """How much more than last week, as a share; None without decisions then."""
        return self.today / self.before - 1.0 if self.before else None


def read_today(source: SystemSource, now: int) -> SystemToday:
    """Read a system's day so far.

    Args:
        source: of the system.
        now: microseconds since 1970 UTC.
    """
    records, since = source.records, now - now % DAY
    today = records.count_decisions(since, now + 1)
    before = records.count_decisions(since - _WEEK, now - _WEEK)
    names = sorted(today.keys() | before.keys(), key=lambda name: (-today.get(name, 0), name))
    open_incidents = records.open_incidents(source.system)
    latest = sorted(open_incidents, key=lambda incident: -incident.opened_at)
    return SystemToday(
        system=source.system,
        now=now,
        since=since,
        decisions=tuple(
            DecisionCount(name, today.get(name, 0), before.get(name, 0)) for name in names
        ),
        queue=records.compute_figures(now, _HOUR),
        incidents=tuple(latest[:_INCIDENTS_SHOWN]),
        incident_count=len(open_incidents),
        experiment=_running(source),
        money=_planned_money(source, since, now) if source.system == "churn" else None,
    )


def _planned_money(source: SystemSource, since: int, now: int) -> MoneyToday | None:
    """The expected value of today's plans of interventions; None where none was made."""
    book = source.records.sharing(InterventionRepository)
    today = book.list_plans(since, now + 1, _MOST_PLANS)
    if not today:
        return None
    before = book.list_plans(since - _WEEK, now - _WEEK, _MOST_PLANS)
    return MoneyToday(
        "expected of the contacts planned today, net of cost",
        sum(summary_of(plan).value for plan in today),
        sum(summary_of(plan).value for plan in before) if before else None,
    )


def _running(source: SystemSource) -> ExperimentState | None:
    stored = source.records.running(source.system)
    if stored is None:
        return None
    declared = stored.declaration
    return ExperimentState(stored.id, declared.name, declared.mode, stored.share, stored.started_at)
