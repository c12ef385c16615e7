"""A plan as work orders, as rows for people and as a calendar."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.repository import StoredSchedule, WorkOrder
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, parts_of
from lib.maintenance.schedule.problem import Job, Problem
from lib.maintenance.schedule.request import WHOLE_MACHINE
from lib.maintenance.schedule.week_problem import Named

_COLUMNS = (
    *("machine_id", "plant", "line", "skill", "crew", "start_utc", "end_utc", "duration_hours"),
    *("service", "downtime", "failure", "ahead", "not_this_week"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet computes; the last four are wide, as in Japanese texts."""


def orders_of(
    schedule: StoredSchedule, problem: Problem, names: Sequence[Named], starts: npt.ArrayLike
) -> list[WorkOrder]:
    """One order for each service of a plan with these starts (n,), by start."""
    orders = []
    for index, start in _by_start(starts):
        job, name = problem.jobs[index], names[index]
        cost = parts_of(job, problem.week, start).total
        waiting = parts_of(job, problem.week, NOT_THIS_WEEK).total
        begins = schedule.week_start + start * HOUR_US
        orders.append(
            WorkOrder(
                id=f"{schedule.id}-{index}",
                schedule_id=schedule.id,
                machine_id=name.machine_id,
                component=None if name.component == WHOLE_MACHINE else name.component,
                plant=job.plant,
                line=job.line,
                skill=job.skill,
                starts_at=begins,
                ends_at=begins + job.duration_hours * HOUR_US,
                expected={
                    "failure_this_week": 1.0 - float(job.survival[-1]),
                    "cost": cost,
                    "saved": waiting - cost,
                },
                created_at=schedule.created_at,
            )
        )
    return orders


def table(problem: Problem, starts: npt.ArrayLike) -> bytes:
    """CSV (RFC 4180, UTF-8) of the planned jobs by start, costs in money by what they are for."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for job, begin, end, start in _planned(problem, starts):
        without = parts_of(job, problem.week, NOT_THIS_WEEK).total
        costs = (*parts_of(job, problem.week, start), without)
        writer.writerow(
            [
                *(_harmless(cell) for cell in (job.machine_id, job.plant, job.line, job.skill)),
                *(job.crew, begin.isoformat(), end.isoformat(), job.duration_hours),
                *(f"{cost:.2f}" for cost in costs),
            ]
        )
    return text.getvalue().encode()


def calendar(problem: Problem, starts: npt.ArrayLike, stamp: datetime, revision: int = 0) -> bytes:
    """The planned jobs as iCalendar (RFC 5545), times in UTC.

    Args:
        problem: the week.
        starts: (n,) of the plan.
        stamp: when it was made, with a time zone.
        revision: how often it was changed, so that calendars take the newest.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Forewarn//maintenance//EN"]
    for job, begin, end, _ in _planned(problem, starts):
        lines += [
            "BEGIN:VEVENT",
            f"UID:{_escaped(job.machine_id)}-{_time(problem.week.start)}@forewarn",
            f"DTSTAMP:{_time(stamp)}",
            f"SEQUENCE:{revision}",
            f"DTSTART:{_time(begin)}",
            f"DTEND:{_time(end)}",
            f"SUMMARY:{_escaped(f'Service {job.machine_id} ({job.skill})')}",
            f"LOCATION:{_escaped(' '.join(part for part in (job.plant, job.line) if part))}",
            "END:VEVENT",
        ]
    return b"".join(_folded(line) for line in [*lines, "END:VCALENDAR"])


def _by_start(starts: npt.ArrayLike) -> list[tuple[int, int]]:
    """Places and starts of the jobs that are served, by start."""
    chosen = np.asarray(starts, dtype=np.int64)
    order = np.argsort(chosen, kind="stable").tolist()
    return [(index, int(chosen[index])) for index in order if chosen[index] != NOT_THIS_WEEK]


def _planned(problem: Problem, starts: npt.ArrayLike) -> list[tuple[Job, datetime, datetime, int]]:
    monday = problem.week.start.astimezone(UTC)
    planned_jobs = []
    for index, start in _by_start(starts):
        job, begin = problem.jobs[index], monday + timedelta(hours=start)
        planned_jobs.append((job, begin, begin + timedelta(hours=job.duration_hours), start))
    return planned_jobs


def _harmless(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    for plain, written in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        text = text.replace(plain, written)
    return text.replace("\r", "")


def _folded(line: str) -> bytes:
    """At most 75 bytes a line, no character cut in two."""
    parts, now = [], b""
    for character in line:
        added = character.encode()
        if len(now) + len(added) > 75:
            parts.append(now)
            now = b" "
        now += added
    return b"\r\n".join([*parts, now]) + b"\r\n"
