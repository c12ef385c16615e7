"""Monitored windows and incidents in the records; the same window recorded twice changes nothing.

All times of incidents are on the clock of events: an incident is opened, seen and closed at the end
of a monitored window, so what is recorded does not depend on when the job runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, update

from lib.records.json_codec import read_json, write_json
from lib.records.models import Json, require_text, require_time
from lib.records.repository import Repository, find_row, list_rows
from lib.records.schema import INCIDENTS, MONITORED_WINDOWS

_TURN = 0x4D6F6E69  # "Moni": the lock of those who record incidents


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitoredWindow:
    """What monitoring measured of the decisions of a model in a window. Times in microseconds UTC.

    Attributes:
        system: the risk system.
        model_version: of the model that decided; "" for decisions of no model.
        since, until: bounds of event times, the second exclusive.
        created_at: when it was measured.
        summary: counts and figures, as JSON.
    """

    system: str
    model_version: str
    since: int
    until: int
    created_at: int
    summary: Mapping[str, Json]

    def __post_init__(self) -> None:
        require_text("system", self.system)
        for name in ("since", "until", "created_at"):
            require_time(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingChange:
    """A change that stands at the end of a window.

    Attributes:
        kind: of the change, e.g. `moved_mean`.
        measure: in what, e.g. a feature.
        since: event time from which on it shows, microseconds since 1970 UTC.
        detail: size, segments, consequences, as JSON.
    """

    kind: str
    measure: str
    since: int
    detail: Mapping[str, Json]

    def __post_init__(self) -> None:
        for name in ("kind", "measure"):
            require_text(name, getattr(self, name))
        require_time("since", self.since)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedIncident:
    """A row of `incidents`.

    Attributes:
        id: by system, kind, measure and `since`.
        system: the risk system.
        kind, measure, since, detail: see `StandingChange`; the detail is that of `seen_at`.
        opened_at: end of the first window at which it stood.
        seen_at: end of the last one.
        closed_at: end of the window at which it stood no longer; None while it is open.
    """

    id: str
    system: str
    kind: str
    measure: str
    since: int
    opened_at: int
    seen_at: int
    closed_at: int | None
    detail: Mapping[str, Json]


@dataclass(frozen=True)
class Recorded:
    """What recording changed: windows that are new or measured otherwise, and incidents by id."""

    windows: int = 0
    opened: tuple[str, ...] = ()
    seen_again: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


class MonitoringRepository(Repository):
    """Monitored windows and incidents of all systems."""

    def record(
        self,
        system: str,
        windows: Sequence[MonitoredWindow],
        changes: Iterable[StandingChange],
        until: int,
        unjudged: Collection[str] = (),
    ) -> Recorded:
        """Store what was measured, and open, see again or close incidents; all or none.

        A run over a past window neither closes nor reopens what later windows decided.

        Args:
            system: the risk system.
            windows: what was measured; replaces what was measured of the same window before.
            changes: all that stand at `until`, each kind and measure once.
            until: end of the last window, microseconds since 1970 UTC.
            unjudged: measures that could not be judged at `until`; their incidents stay as they
                are.
        """
        with self._database.writing() as connection:
            self._database.take_turn(connection, _TURN)
            stored = sum(_store_window(connection, window) for window in windows)
            incidents = _Incidents(connection, system, until)
            for change in changes:
                incidents.see(change)
            incidents.close_absent(unjudged)
        return Recorded(
            stored, tuple(incidents.opened), tuple(incidents.seen_again), tuple(incidents.closed)
        )

    def windows(
        self, system: str, since: int, until: int, model_version: str | None = None
    ) -> list[MonitoredWindow]:
        """Windows that lie within a range of event times, by begin and model.

        Args:
            system: the risk system.
            since: begin of the range, microseconds since 1970 UTC.
            until: its end.
            model_version: None for those of all models.
        """
        table = MONITORED_WINDOWS.c
        conditions = [table.system == system, table.since >= since, table.until <= until]
        if model_version is not None:
            conditions.append(table.model_version == model_version)
        order = [table.since, table.until, table.model_version]
        return self._list(MonitoredWindow, MONITORED_WINDOWS, *conditions, order=order)

    def open_incidents(self, system: str) -> list[RecordedIncident]:
        """Incidents that are not closed, the oldest first."""
        table = INCIDENTS.c
        conditions = (table.system == system, table.closed_at.is_(None))
        order = [table.since, table.kind, table.measure]
        return self._list(RecordedIncident, INCIDENTS, *conditions, order=order)

    def incidents(self, system: str, since: int, until: int) -> list[RecordedIncident]:
        """Incidents that were open at any time of a range of event times, the oldest first."""
        table = INCIDENTS.c
        ended = table.closed_at.is_(None) | (table.closed_at > since)
        conditions = (table.system == system, table.since < until, ended)
        order = [table.since, table.kind, table.measure]
        return self._list(RecordedIncident, INCIDENTS, *conditions, order=order)

    def count_open(self, system: str) -> int:
        """How many incidents are not closed."""
        table = INCIDENTS.c
        query = select(func.count()).where(table.system == system, table.closed_at.is_(None))
        with self._database.reading() as connection:
            return int(connection.execute(query.select_from(INCIDENTS)).scalar_one())


def incident_id(system: str, change: StandingChange) -> str:
    """The id of an incident: the same for whoever records it, and not to be guessed by content."""
    content = "\0".join((system, change.kind, change.measure, str(change.since)))
    return f"{system}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


class _Incidents:
    """The incidents of a system in a transaction, as a window that ends at `until` changes them."""

    def __init__(self, connection: Connection, system: str, until: int) -> None:
        self._connection, self._system, self._until = connection, system, until
        table = INCIDENTS.c
        self._all = list_rows(
            connection, RecordedIncident, INCIDENTS, table.system == system, order=[table.since]
        )
        self._standing: set[str] = set()
        self.opened: list[str] = []
        self.seen_again: list[str] = []
        self.closed: list[str] = []

    def see(self, change: StandingChange) -> None:
        """Open an incident of a change, or see the open one again."""
        same = [i for i in self._all if (i.kind, i.measure) == (change.kind, change.measure)]
        incident = next((i for i in same if i.closed_at is None), None)
        if incident is None:
            if any(i.closed_at is not None and i.closed_at >= self._until for i in same):
                return  # a past window: what became of this change is known
            self._open(change)
            return
        self._standing.add(incident.id)
        seen_at = max(incident.seen_at, self._until)
        is_same = seen_at == incident.seen_at and _equal(change.detail, incident.detail)
        if self._until >= incident.seen_at and not is_same:
            self._change(incident.id, seen_at=seen_at, detail=change.detail)
            self.seen_again.append(incident.id)

    def close_absent(self, unjudged: Collection[str]) -> None:
        """Close those that stand no longer in a window after the last in which they did."""
        for incident in self._all:
            absent = incident.closed_at is None and incident.id not in self._standing
            if absent and incident.seen_at < self._until and incident.measure not in unjudged:
                self._change(incident.id, closed_at=self._until)
                self.closed.append(incident.id)

    def _open(self, change: StandingChange) -> None:
        id_ = incident_id(self._system, change)
        self._standing.add(id_)
        self.opened.append(id_)
        if any(incident.id == id_ for incident in self._all):
            self._change(id_, seen_at=self._until, closed_at=None, detail=change.detail)
            return
        incident = RecordedIncident(
            id=id_,
            system=self._system,
            opened_at=self._until,
            seen_at=self._until,
            closed_at=None,
            **asdict(change),
        )
        self._connection.execute(insert(INCIDENTS), [asdict(incident)])

    def _change(self, id_: str, **values: Any) -> None:
        self._connection.execute(update(INCIDENTS).where(INCIDENTS.c.id == id_).values(**values))


def _store_window(connection: Connection, window: MonitoredWindow) -> bool:
    """Whether the window is new, or measured otherwise than before."""
    table = MONITORED_WINDOWS.c
    names = ("system", "model_version", "since", "until")
    key = and_(*(table[name] == getattr(window, name) for name in names))
    existing = find_row(connection, MonitoredWindow, MONITORED_WINDOWS, key)
    if existing is None:
        connection.execute(insert(MONITORED_WINDOWS), [asdict(window)])
        return True
    if _equal(window.summary, existing.summary):
        return False
    values = {"summary": window.summary, "created_at": window.created_at}
    connection.execute(update(MONITORED_WINDOWS).where(key).values(**values))
    return True


def _equal(fresh: Mapping[str, Json], stored: Mapping[str, Json]) -> bool:
    """Whether a document is the one that is stored: JSON knows no tuples."""
    return bool(read_json(write_json(fresh)) == stored)
