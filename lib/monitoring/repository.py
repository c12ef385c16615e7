"""Monitored windows and incidents in the records; the same window recorded twice changes nothing.

All times of incidents are on the clock of events: an incident is opened, seen and closed at the end
of a monitored window, so what is recorded does not depend on when the job runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from sqlalchemy import Connection, and_, func, insert, select, update

from lib.records.json_codec import read_json, write_json
from lib.records.models import Json, require_fields
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
        require_fields(self, ("system",), ("since", "until", "created_at"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedIncident:
    """A change as a run of monitoring saw it. Times are of events, microseconds since 1970 UTC.

    Attributes:
        measure: in what, e.g. a feature; one incident of a measure is open at a time.
        kind: of the change, e.g. `mean moved`.
        since: from when on it shows.
        opened_at: end of the first window at which the evidence sufficed.
        seen_at: end of the last window that shows it.
        closed_at: end of the window by which it was over; None while it lasts.
        detail: size, segments, consequences, as JSON.
    """

    measure: str
    kind: str
    since: int
    opened_at: int
    seen_at: int
    closed_at: int | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_fields(self, ("kind", "measure"), ("since", "opened_at", "seen_at"))


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedIncident(ObservedIncident):
    """A row of `incidents`: `id` is by system, measure and when it was opened first."""

    id: str
    system: str


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
        incidents: Iterable[ObservedIncident],
        until: int,
        unjudged: Collection[str] = (),
    ) -> Recorded:
        """Store what was measured, and open, see again or close incidents; all or none.

        An incident is the recorded one of its measure where both lie over the same time. A run over
        a past window neither closes nor reopens what later windows decided.

        Args:
            system: the risk system.
            windows: what was measured; replaces what was measured of the same window before.
            incidents: all that were seen up to `until`, those that are over included.
            until: end of the last window, microseconds since 1970 UTC.
            unjudged: measures that could not be judged at `until`; their incidents stay as they
                are.
        """
        with self._database.writing() as connection:
            self._database.take_turn(connection, _TURN)
            stored = sum(_store_window(connection, window) for window in windows)
            recorder = _Recorder(connection, system)
            for incident in sorted(incidents, key=lambda incident: incident.opened_at):
                recorder.see(incident)
            recorder.close_absent(until, unjudged)
        return recorder.recorded(stored)

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


def incident_id(system: str, incident: ObservedIncident) -> str:
    """The id of an incident: the same for whoever records it first."""
    content = "\0".join((system, incident.measure, str(incident.opened_at)))
    return f"{system}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


class _Recorder:
    """Changes the recorded incidents of a system by what a run saw, within a transaction."""

    def __init__(self, connection: Connection, system: str) -> None:
        self._connection, self._system = connection, system
        table = INCIDENTS.c
        rows = list_rows(
            connection, RecordedIncident, INCIDENTS, table.system == system, order=[table.since]
        )
        self._known = {row.id: row for row in rows}
        self._matched: set[str] = set()
        self._changed: dict[str, list[str]] = {"opened": [], "seen_again": [], "closed": []}

    def see(self, incident: ObservedIncident) -> None:
        """Insert an incident, or bring the recorded one up to it."""
        known = self._same(incident)
        if known is None:
            self._insert(incident)
            return
        self._matched.add(known.id)
        if incident.seen_at < known.seen_at:
            return  # a past window: what became of it is known
        is_over = known.closed_at is not None and known.closed_at > incident.seen_at
        closed_at = incident.closed_at or (known.closed_at if is_over else None)
        detail = known.detail if _equal(incident.detail, known.detail) else incident.detail
        fresh = replace(
            known,
            kind=incident.kind,
            seen_at=incident.seen_at,
            closed_at=closed_at,
            detail=detail,
        )
        if fresh != known:
            self._update(known, fresh)

    def close_absent(self, until: int, unjudged: Collection[str]) -> None:
        """Close what is open and was not seen by a run that ends after it was seen last."""
        for known in list(self._known.values()):
            absent = known.closed_at is None and known.id not in self._matched
            if absent and known.seen_at < until and known.measure not in unjudged:
                self._update(known, replace(known, closed_at=until))

    def recorded(self, windows: int) -> Recorded:
        """What changed."""
        return Recorded(windows, **{name: tuple(ids) for name, ids in self._changed.items()})

    def _same(self, incident: ObservedIncident) -> RecordedIncident | None:
        """The latest of the measure that lies over a part of the same time."""
        for known in sorted(self._known.values(), key=lambda known: known.since, reverse=True):
            begins = incident.closed_at is None or known.since < incident.closed_at
            ends = known.closed_at is None or incident.since < known.closed_at
            if known.measure == incident.measure and begins and ends:
                return known
        return None

    def _insert(self, incident: ObservedIncident) -> None:
        values = {name.name: getattr(incident, name.name) for name in fields(ObservedIncident)}
        fresh = RecordedIncident(
            id=incident_id(self._system, incident), system=self._system, **values
        )
        self._connection.execute(insert(INCIDENTS), [asdict(fresh)])
        self._known[fresh.id] = fresh
        self._matched.add(fresh.id)
        self._changed["opened"].append(fresh.id)

    def _update(self, known: RecordedIncident, fresh: RecordedIncident) -> None:
        names = ("kind", "seen_at", "closed_at", "detail")
        values = {name: getattr(fresh, name) for name in names}
        statement = update(INCIDENTS).where(INCIDENTS.c.id == fresh.id).values(**values)
        self._connection.execute(statement)
        self._known[fresh.id] = fresh
        if fresh.closed_at is not None and known.closed_at is None:
            self._changed["closed"].append(fresh.id)
        elif known.closed_at is not None and fresh.closed_at is None:
            self._changed["opened"].append(fresh.id)
        else:
            self._changed["seen_again"].append(fresh.id)


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
