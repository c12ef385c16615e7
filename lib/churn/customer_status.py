"""Where a customer stands, from the same happenings as its features and kept beside them.

Nothing here is a feature: that someone has given notice is what is foreseen, not a sign of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib.feature import DAY, SECOND, Feature, FeatureSet, LastValue, Quantity

_CUSTOMER = ("customer_id",)
_EVER = 100 * 365 * DAY
_HAPPENS = (
    *("told", "used", "opened", "closed", "invoiced", "credited_minor", "paid", "failed"),
    *("surveyed", "noticed", "leaving"),
)


def _second_of(event_time: int) -> int:
    return event_time // SECOND


def _identity(number: int) -> int:
    return number


def _any(*numbers: int) -> int:
    flag = numbers[0] != 0
    for number in numbers[1:]:
        flag = flag | (number != 0)
    return flag * 1


_SECOND = Quantity("second", ("event_time",), _second_of)
_ENDS = Quantity("ends_day", ("ends_day",), _identity)
_TOLD = Quantity("told", ("told",), _identity)
_LEAVING = Quantity("leaving", ("leaving",), _identity)
_HAPPENED = Quantity("happened", _HAPPENS, _any)
_WHEN, _WHEN_LEAVING = (_SECOND,), (_SECOND, _ENDS)
_SECONDS = "seconds since 1970"


def _remembered(name: str, unit: str, aggregate: LastValue) -> Feature:
    return Feature(name, unit, _CUSTOMER, aggregate)


STANDING = FeatureSet(
    name="churn_standing",
    version=1,
    features=(
        _remembered("newest", _SECONDS, LastValue(_SECOND, _WHEN, _EVER, _HAPPENED)),
        _remembered("told", _SECONDS, LastValue(_SECOND, _WHEN, _EVER, _TOLD)),
        _remembered(
            "noticed", _SECONDS, LastValue(_SECOND, _WHEN_LEAVING, _EVER, _LEAVING)
        ),
        _remembered("ends", "days since 1970", LastValue(_ENDS, _WHEN_LEAVING, _EVER, _LEAVING)),
    ),
    id_column="event_id",
)  # fmt: skip
"""Keyed by customer like the features of `churn_features`."""


@dataclass(frozen=True)
class CustomerStatus:
    """Where a customer stands. Times in microseconds since 1970 UTC, None where nothing is told.

    Attributes:
        newest_us: of the newest happening, to the second.
        told_us: from when on the newest row of the customer itself holds.
        noticed_us: of the newest notice.
        ends_us: when the contract ends by it, where that is told.
    """

    newest_us: int | None
    told_us: int | None
    noticed_us: int | None
    ends_us: int | None

    @property
    def leaving(self) -> bool:
        """Whether the customer gave notice and has not come back; see `Leaving.returns`."""
        if self.noticed_us is None:
            return False
        ended = self.noticed_us if self.ends_us is None else max(self.ends_us, self.noticed_us)
        return self.told_us is None or self.told_us <= ended


def status_of(values: Mapping[str, float]) -> CustomerStatus:
    """Where a customer stands, from the values of `STANDING`."""

    def time(name: str, unit: int) -> int | None:
        value = values[name]
        return None if value != value or value <= 0 else int(value) * unit  # noqa: PLR0124

    return CustomerStatus(
        time("newest", SECOND), time("told", SECOND), time("noticed", SECOND), time("ends", DAY)
    )
