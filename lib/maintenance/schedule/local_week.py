"""The hours of a week in local time: 168, and 167 or 169 where clocks change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from lib.maintenance.schedule.problem import Floats, Ints, ScheduleError

_HOUR = timedelta(hours=1)
_DAY_MINUTES, _HOUR_MINUTES = 1440, 60
_CLOCK = re.compile(r"(\d{1,2})(?::([0-5]\d))?")


@dataclass(frozen=True)
class LocalWeek:
    """The slots of a week: elapsed hours from its start to the same local time a week later.

    Attributes:
        start: of slot 0, in the zone whose clock shifts are written in.
        slots: hours of the week.
        days: (slots,) day of the week on which each slot begins, 0 for Monday.
        minutes: (slots,) minutes since local midnight at which it begins.
    """

    start: datetime
    slots: int
    days: Ints
    minutes: Ints

    def time_of(self, slot: int) -> datetime:
        """When a slot begins."""
        return hours_later(self.start, slot)

    def hours_until(self, time: datetime) -> float:
        """Elapsed hours from the start to a time with a zone."""
        return (time.astimezone(UTC) - self.start.astimezone(UTC)) / _HOUR

    def within(self, text: str, weekend: bool = True) -> npt.NDArray[np.bool_]:
        """(slots,) whether a slot lies whole in the hours of a shift, as `06-14` or `22:30-06:30`.

        Args:
            text: local clock times; a shift that ends before it begins runs over midnight.
            weekend: whether shifts that begin on Saturday and Sunday count.

        Raises:
            ScheduleError: the text is not two clock times.
        """
        begin, end = _clock_times(text)
        length = (end - begin) % _DAY_MINUTES or _DAY_MINUTES
        since = (self.minutes - begin) % _DAY_MINUTES
        begun_on = (self.days - (self.minutes < begin)) % 7
        covered: npt.NDArray[np.bool_] = since + _HOUR_MINUTES <= length
        return covered if weekend else covered & (begun_on < 5)

    def people(self, per_shift: Mapping[str, int], weekend: float = 0.0) -> Ints:
        """(slots,) technicians at each slot.

        Args:
            per_shift: how many work a shift, by its clock times.
            weekend: share of them in shifts that begin on Saturday or Sunday, rounded down.

        Raises:
            ScheduleError: a shift is not written as two clock times.
        """
        there = np.zeros(self.slots, dtype=np.int64)
        for text, count in per_shift.items():
            every, workdays = self.within(text), self.within(text, weekend=False)
            there += np.where(workdays, count, np.where(every, int(count * weekend), 0))
        return there

    def weights(self, by_hours: Mapping[str, float]) -> Floats:
        """(slots,) 1, or what is given for the clock times of a slot."""
        weights = np.ones(self.slots)
        for text, weight in by_hours.items():
            weights[self.within(text)] = weight
        return weights


def local_week(start: datetime) -> LocalWeek:
    """The week that begins at a time with a zone.

    Raises:
        ScheduleError: it has no whole number of hours, as clocks change by half an hour.
    """
    zone = start.tzinfo or UTC
    end = (start.replace(tzinfo=None) + timedelta(days=7)).replace(tzinfo=zone)
    hours = (end.astimezone(UTC) - start.astimezone(UTC)) / _HOUR
    if hours != int(hours):
        raise ScheduleError(
            f"start: the week of {start.isoformat()} has {hours:g} hours, as clocks change by half "
            "an hour; expected whole hours; plan it with a fixed offset"
        )
    times = [hours_later(start, slot) for slot in range(int(hours))]
    return LocalWeek(
        start,
        int(hours),
        np.array([time.weekday() for time in times], dtype=np.int64),
        np.array([time.hour * 60 + time.minute for time in times], dtype=np.int64),
    )


def hours_later(start: datetime, hours: int) -> datetime:
    """Elapsed hours after a time, in its zone."""
    return (start.astimezone(UTC) + hours * _HOUR).astimezone(start.tzinfo)


def zone_of(name: str) -> ZoneInfo:
    """An IANA time zone.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"expected an IANA time zone, as Europe/Berlin, got '{name}'") from error


def in_zone(time: datetime, zone: tzinfo | None) -> datetime:
    """A time in a zone; one without an offset is a local time there.

    Raises:
        ValueError: it has no offset and there is no zone, or clocks skip it or show it twice.
    """
    if time.tzinfo is not None:
        return time if zone is None else time.astimezone(zone)
    if zone is None:
        raise ValueError(f"expected a time with an offset from UTC, got {time.isoformat()}")
    local = time.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != time:
        raise ValueError(f"expected a time that clocks show, got {time.isoformat()} in {zone}")
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise ValueError(
            f"clocks show {time.isoformat()} twice in {zone}; write it with its offset from UTC"
        )
    return local


def _clock_times(text: str) -> tuple[int, int]:
    """Minutes since midnight of `06-14` or `06:30-14:30`; the end is up to 24:00."""
    parts = [_CLOCK.fullmatch(part) for part in text.split("-")]
    if len(parts) != 2 or parts[0] is None or parts[1] is None:
        raise ScheduleError(
            f"shift: expected clock times as '06-14' or '06:30-14:30', got '{text}'"
        )
    begin, end = (60 * int(part[1]) + int(part[2] or 0) for part in parts if part is not None)
    if not (0 <= begin < _DAY_MINUTES and 0 <= end <= _DAY_MINUTES):
        raise ScheduleError(f"shift: expected hours from 0 to 24, got '{text}'")
    return begin, end
