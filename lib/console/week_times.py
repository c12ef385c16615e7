"""Times of a planned week in the time zone of its plants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from lib.maintenance.repository import StoredSchedule
from lib.maintenance.schedule.local_week import in_zone, zone_of
from lib.maintenance.schedule.problem import ScheduleError

_SPANS_SHOWN = 4


@dataclass(frozen=True)
class WeekTimes:
    """Times of a week in the time zone that it was planned in.

    Attributes:
        start: of its first hour, in that zone.
        zone: its name.
    """

    start: datetime
    zone: str

    @classmethod
    def of(cls, schedule: StoredSchedule) -> WeekTimes:
        """Times of a schedule: in its `timezone`, or at the offset of its start."""
        name, text = schedule.request.get("timezone"), schedule.request.get("start")
        start = datetime.fromtimestamp(schedule.week_start / 1e6, UTC)
        zone: tzinfo | None = UTC
        if isinstance(name, str):
            zone = zone_of(name)
        elif isinstance(text, str):
            zone = datetime.fromisoformat(text).tzinfo or UTC
        return cls(start.astimezone(zone), str(name or zone))

    def text(self, time_us: int) -> str:
        """A time as `Tue 24 Nov 06:00`."""
        return self._local(time_us).strftime("%a %d %b %H:%M")

    def field(self, time_us: int) -> str:
        """The same as a form takes it."""
        return self._local(time_us).strftime("%Y-%m-%dT%H:%M")

    def read(self, text: str) -> int:
        """The time of a form, microseconds since 1970 UTC.

        Raises:
            ScheduleError: it is none, or clocks skip it or show it twice.
        """
        try:
            time = datetime.fromisoformat(text).replace(tzinfo=None)
            return round(in_zone(time, self.start.tzinfo).timestamp() * 1e6)
        except (ValueError, OverflowError) as error:
            raise ScheduleError(f"start: expected a time of the week: {error}") from error

    def _local(self, time_us: int) -> datetime:
        return datetime.fromtimestamp(time_us / 1e6, UTC).astimezone(self.start.tzinfo)

    def spans_text(self, spans: Sequence[Sequence[int]]) -> str:
        """Hours from and until as `Tue 24 06:00-14:00`, the first of them."""
        texts = []
        for first, last in spans[:_SPANS_SHOWN]:
            begin, end = (self._of_slot(slot) for slot in (first, last))
            same_day = begin.date() == end.date()
            texts.append(f"{begin:%a %d %H:%M}-{end:%H:%M}" + ("" if same_day else f" {end:%a}"))
        more = len(spans) - _SPANS_SHOWN
        return ", ".join(texts) + (f" and {more} more" if more > 0 else "")

    def _of_slot(self, slot: int) -> datetime:
        return (self.start.astimezone(UTC) + timedelta(hours=slot)).astimezone(self.start.tzinfo)
