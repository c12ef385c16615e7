"""Quality of what comes in by day: fields of requests that were refused, rows in quarantine.

From what services and readings leave behind anyway: the access log (one JSON object a line) and
the ledgers of quarantines. Counts are whole numbers, so those of several files and replicas are
summed in any order; their drift is judged like any other series of counts. Values that training did
not have are counted with the measures of a window (`MeasureCounts.unseen`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

_EPOCH = date(1970, 1, 1)
_REFUSED = 422
_SECONDS_A_DAY = 86_400
UNREADABLE = "unreadable log lines"


@dataclass(frozen=True)
class DailyCounts:
    """Whole numbers by kind, name and UTC day.

    Attributes:
        counts: by (kind, name, day since 1970). Kinds: `requests` and `refused` by route,
            `refused_field` by field, `status` by route and status, `rows` and `quarantined` by
            table, `quarantine_reason`.
    """

    counts: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def add(self, kind: str, name: str, day: int, amount: int = 1) -> None:
        """Count some."""
        self.counts[kind, name, day] += amount

    def merge(self, other: DailyCounts) -> DailyCounts:
        """The sum of both, in any order."""
        return DailyCounts(self.counts + other.counts)

    def names(self, kind: str) -> list[str]:
        """What was counted of a kind, sorted."""
        return sorted({name for own, name, _ in self.counts if own == kind})

    def series(self, kind: str, name: str, first: int, last: int) -> npt.NDArray[np.int64]:
        """(last - first + 1,) counts of successive days, 0 where none."""
        days = range(first, last + 1)
        return np.array([self.counts.get((kind, name, day), 0) for day in days], dtype=np.int64)

    def days(self) -> tuple[int, int] | None:
        """First and last day with a count; None without any."""
        days = [day for _, _, day in self.counts]
        return (min(days), max(days)) if days else None

    def rows(self) -> list[dict[str, Any]]:
        """As rows of a table: kind, name, date, count."""
        return [
            {"kind": kind, "name": name, "date": date_of(day).isoformat(), "count": count}
            for (kind, name, day), count in sorted(self.counts.items())
        ]


def date_of(day: int) -> date:
    """The date of a day since 1970."""
    return date.fromordinal(_EPOCH.toordinal() + day)


def count_log_lines(lines: Iterable[str | bytes], app: str | None = None) -> DailyCounts:
    """Requests and refusals of an access log; lines that are no JSON object are counted too.

    Args:
        lines: as `serve/framework/json_log.py` writes them.
        app: name of an application; None counts all.
    """
    counts = DailyCounts()
    latest = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            day = int(entry["time"] // _SECONDS_A_DAY)
        except (ValueError, TypeError, KeyError):
            counts.add(UNREADABLE, "", latest)
            continue
        latest = day
        if entry.get("event") == "request" and app in {None, entry.get("app")}:
            _count_request(counts, entry, day)
    return counts


def _count_request(counts: DailyCounts, entry: Mapping[str, Any], day: int) -> None:
    route, status = str(entry.get("route", "unknown")), entry.get("status")
    counts.add("requests", route, day)
    counts.add("status", f"{route} {status}", day)
    if status == _REFUSED:
        counts.add("refused", route, day)
        for name in entry.get("refused_fields") or ():
            counts.add("refused_field", str(name), day)


def count_quarantine(
    table: str, rows_in: int, reasons: Mapping[str, int], read_at: datetime
) -> DailyCounts:
    """Rows of a reading that were set aside, by reason, on the day of the reading.

    Args:
        table: name of the contract, e.g. `transactions`.
        rows_in: rows that were read.
        reasons: quarantined rows by reason, as `lib.contract.QuarantineSummary` has them.
        read_at: when, with a time zone.
    """
    counts = DailyCounts()
    day = int(read_at.astimezone(UTC).timestamp() // _SECONDS_A_DAY)
    counts.add("rows", table, day, rows_in)
    counts.add("quarantined", table, day, sum(reasons.values()))
    for reason, count in reasons.items():
        counts.add("quarantine_reason", f"{table}: {reason}", day, count)
    return counts
