"""Formulas of customers' features: the same bits for one customer and for many."""

from lib.feature import DAY, MINUTE
from lib.feature.exact_arithmetic import (
    NAN,
    Value,
    at_least,
    at_most,
    choose,
    ratio,
    scaled_by_power,
    square_root,
)

_DAY_MINUTES = DAY / MINUTE
UNKNOWN = -1
NO_NUMBER = 9_999
"""Power of two that stands beside the significand of a number that was not told."""
MINOR_UNITS = 100.0


def days(minutes: Value) -> Value:
    """Days of minutes."""
    return minutes / _DAY_MINUTES


def day_of(event_time: Value) -> Value:
    """Days since 1970 UTC of microseconds."""
    return event_time / float(DAY)


def or_missing(value: Value) -> Value:
    """A remembered number; missing where it was never told."""
    return choose(value < 0.0, NAN, value)


def number_of(significand: Value, power: Value) -> Value:
    """A remembered number of any size, to the bit; missing where it was never told."""
    is_known = power < NO_NUMBER
    exact = scaled_by_power(significand, choose(is_known, power, 0.0))
    return choose(is_known, exact, NAN)


def days_since(now: Value, day: Value) -> Value:
    """Days from a remembered day to now; missing where it was never told."""
    return choose(day < 0.0, NAN, now - day)


def days_until(now: Value, day: Value) -> Value:
    """Days from now to a remembered day; missing where it was never told."""
    return choose(day < 0.0, NAN, day - now)


def share(part: Value, total: Value) -> Value:
    """`part / whole`; missing where there is no whole."""
    return ratio(part, total)


def difference(first: Value, second: Value) -> Value:
    """`first - second`, as of what is open: told less settled."""
    return first - second


def at_least_nothing(first: Value, second: Value) -> Value:
    """`first - second`, not below 0."""
    return at_least(first - second, 0.0)


def trend_of_month(last_30d: Value, last_90d: Value) -> Value:
    """The last 30 days against a usual 30 of the 60 before: 1 is unchanged; missing of nothing."""
    before = (last_90d - last_30d) / 2.0
    return choose(last_90d <= 0.0, NAN, ratio(last_30d + 1.0, before + 1.0))


def trend_of_week(last_7d: Value, last_30d: Value) -> Value:
    """The last 7 days against a usual 7 of the 23 before: 1 is unchanged; missing of nothing."""
    before = (last_30d - last_7d) * 7.0 / 23.0
    return choose(last_30d <= 0.0, NAN, ratio(last_7d + 1.0, before + 1.0))


def against_pace(days_since: Value, events: Value, tenure_days: Value) -> Value:
    """Days since the last one, in usual gaps between two of the last year's."""
    span = choose(tenure_days < 365.0, tenure_days, 365.0)
    return ratio(days_since * events, at_least(span, 7.0))


def major(minor: Value) -> Value:
    """Currency units of minor units."""
    return minor / MINOR_UNITS


def balance(invoiced: Value, credited: Value, settled: Value, payments: Value) -> Value:
    """What is owed; missing where payments are not told at all."""
    return choose(payments <= 0.0, NAN, at_least_nothing(invoiced, credited + settled))


def overdue(owed: Value, newest_minor: Value, due_day: Value, now: Value) -> Value:
    """What is owed beyond what is not due yet: the newest invoice, before its day."""
    waiting = choose(now <= due_day, newest_minor / MINOR_UNITS, 0.0)
    return at_least_nothing(owed, waiting)


def spread(squares: Value, total: Value, count: Value) -> Value:
    """Sample standard deviation of whole numbers from their sums; missing below two."""
    pairs = at_least(count * (count - 1.0), 1.0)
    deviation = square_root(at_least(count * squares - total * total, 0.0) / pairs)
    return choose(count < 2.0, NAN, deviation)


def usual_gap(tenure_days: Value, days_since: Value, events: Value) -> Value:
    """Mean days between the last year's events; missing below two."""
    span = at_most(tenure_days, 365.0) - days_since
    return choose(events < 2.0, NAN, span / at_least(events - 1.0, 1.0))
