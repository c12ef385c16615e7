"""Which days train, which calibrate and which test, with the label delay left out in between."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from lib.fraud.model.inputs import DAY

Part = TypeVar("Part")


@dataclass(frozen=True)
class Slice:
    """Payments with start <= event_time < end, and when their labels are read.

    Args:
        start: microseconds UTC.
        end: microseconds UTC, excluded.
        as_of: microseconds UTC; labels reported later are not known.
    """

    start: int
    end: int
    as_of: int

    @property
    def days(self) -> float:
        """Length in days."""
        return (self.end - self.start) / DAY


@dataclass(frozen=True)
class Fold(Generic[Part]):
    """One time-forward step: fit on `train`, stop by `stop`, score `scored`, all in this order.

    Each part is a slice of the time, or the rows of that slice.
    """

    train: Part
    stop: Part
    scored: Part


@dataclass(frozen=True)
class Plan:
    """Slices in order of time; between each and the next lies the label delay.

    Args:
        train: the final halves are fitted on it; the folds divide it.
        folds: for out-of-fold scores inside `train`.
        calibrate: for calibration and policy.
        test: for the report.
    """

    train: Slice
    folds: tuple[Fold[Slice], ...]
    calibrate: Slice
    test: Slice


@dataclass(frozen=True)
class Lengths:
    """How long the slices are, in days.

    A length of 0 is chosen by the days that there are; see `plan_slices`.
    """

    label_delay: float = 7.0
    """days after which a fraud is usually reported; left out between slices"""
    test: float = 0.0
    """days to test on; 0 takes a fifth of those left after the delays"""
    calibrate: float = 0.0
    """days for calibration and policy; 0 takes 15% of those left after the delays"""
    train: float = 0.0
    """most days to train on; 0 takes all earlier ones"""
    folds: int = 3
    """time-forward folds for the meta-learner"""

    def __post_init__(self) -> None:
        if min(self.label_delay, self.test, self.calibrate, self.train) < 0 or self.folds < 1:
            raise ValueError(
                f"slices: expected lengths of 0 or more days and folds >= 1, got {self}"
            )


def plan_slices(first: int, last: int, lengths: Lengths, known_until: int | None = None) -> Plan:
    """Lay the slices out backwards from the newest payment whose label can be known.

    Args:
        first: event time of the oldest payment, microseconds UTC.
        last: event time of the newest payment, microseconds UTC.
        lengths: of the slices.
        known_until: when the newest label became known, microseconds UTC. Payments younger than
            the label delay by then are left out of the test, as their frauds are still unreported.

    Raises:
        ValueError: too few days, saying how many there are and how many are needed.
    """
    delay = round(lengths.label_delay * DAY)
    end = last + 1
    if known_until is not None:
        end = min(end, known_until - delay + 1)
    span = end - first
    least = 2 * delay + round((2 + 2 * (lengths.folds + 1)) * DAY) + delay
    free = span - 2 * delay
    test = _length(lengths.test, free, 0.2)
    calibrate = _length(lengths.calibrate, free, 0.15)
    test_start = end - test
    calibrate_start = test_start - delay - calibrate
    train_end = calibrate_start - delay
    start = first if not lengths.train else max(first, train_end - round(lengths.train * DAY))
    if train_end - start < delay + (lengths.folds + 1) * DAY:
        raise ValueError(
            f"too few days: {max(span, 0) / DAY:.1f} days of payments with known labels leave "
            f"{max(train_end - start, 0) / DAY:.1f} days to train on after {test / DAY:.1f} days "
            f"of test, {calibrate / DAY:.1f} of calibration and twice the label delay of "
            f"{lengths.label_delay:g} days; about {least / DAY:.0f} days are needed: bring more "
            "days, or lower --slices.test, --slices.calibrate, --slices.label-delay or "
            "--slices.folds"
        )
    return Plan(
        Slice(start, train_end, calibrate_start),
        _folds(start, train_end, delay, lengths.folds),
        Slice(calibrate_start, test_start - delay, test_start),
        Slice(test_start, end, max(known_until or 0, end)),
    )


def _length(days: float, free: int, share: float) -> int:
    """Given days, or a share of what is free, at least one day, in whole days where it can be."""
    if days:
        return round(days * DAY)
    return max(DAY, int(free * share) // DAY * DAY)


def _folds(start: int, end: int, delay: int, count: int) -> tuple[Fold[Slice], ...]:
    """Blocks after a first stretch of two fifths, each scored by what was known at its start."""
    first = max(delay + DAY, (end - start) * 2 // 5)
    edges = [start + first + (end - start - first) * index // count for index in range(count + 1)]
    return tuple(
        _fold(start, edges[index], edges[index + 1], delay, end + delay) for index in range(count)
    )


def _fold(start: int, edge: int, stop: int, delay: int, as_of: int) -> Fold[Slice]:
    """Fit before `edge` less the delay, the last fifth of that for stopping; score up to `stop`."""
    known_until = edge - delay
    divide = known_until - (known_until - start) // 5
    return Fold(
        Slice(start, divide, edge), Slice(divide, known_until, edge), Slice(edge, stop, as_of)
    )
