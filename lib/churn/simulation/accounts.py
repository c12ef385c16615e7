"""Accounts as they are signed: segment, plan, seats, revenue, and how they use the product."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.churn.target import Floats, Ints
from lib.churn.vocabulary import ChurnError
from lib.contract import utc_us

SEGMENTS = ("enterprise", "mid-market", "small")
PLANS = ("basic", "pro", "scale")
PRODUCT_FEATURES = tuple(f"feature_{number:02d}" for number in range(12))
_SHARES = (0.15, 0.35, 0.50)
_SEATS = ((60, 240), (20, 80), (4, 24))
_PRICE_MINOR = ((9_000, 14_000), (6_000, 10_000), (3_000, 7_000))


@dataclass(frozen=True)
class SimulationConfig:
    """What is simulated.

    Raises:
        ChurnError: a number that means nothing.
    """

    accounts: int = 1000
    """accounts that there are at most; about a fifth sign during the simulated time"""
    days: int = 720
    """length of the simulated time, in days"""
    seed: int = 1
    """the same seed and options give the same accounts"""
    leave_a_year: float = 0.18
    """approximate share of accounts that give notice in a year, 0 to 1"""
    start_us: int = utc_us(2024)
    """first day, microseconds UTC"""

    def __post_init__(self) -> None:
        if self.accounts < 1 or self.days < 1 or not 0.0 < self.leave_a_year < 1.0:
            raise ChurnError(
                "accounts and days: expected 1 or more, leave_a_year: between 0 and 1, got "
                f"{self.accounts}, {self.days} and {self.leave_a_year}"
            )


@dataclass(frozen=True)
class Accounts:
    """Accounts, one in each place.

    Attributes:
        names: ids.
        segment, plan: places in `SEGMENTS` and `PLANS`.
        seats: users paid for.
        mrr_minor: revenue a month, minor units.
        signed: day of the simulation, below 0 before it.
        habit: (n,) share of seats that work on a usual day.
        breadth: (n,) product features that are used.
    """

    names: tuple[str, ...]
    segment: Ints
    plan: Ints
    seats: Ints
    mrr_minor: Ints
    signed: Ints
    habit: Floats
    breadth: Ints


def draw_accounts(config: SimulationConfig) -> Accounts:
    """Accounts of a seed."""
    draw, count = np.random.default_rng([config.seed, 1]), config.accounts
    segment = draw.choice(3, count, p=_SHARES)
    seats = draw.integers(*_pick(_SEATS, segment))
    price = draw.integers(*_pick(_PRICE_MINOR, segment))
    plan = np.clip(2 - segment + draw.integers(-1, 2, count), 0, 2)
    new = draw.random(count) < 0.2
    signed = np.where(
        new, draw.integers(0, config.days, count), -draw.integers(30, 1500, count)
    ).astype(np.int64)
    return Accounts(
        names=tuple(f"A{number:05d}" for number in range(count)),
        segment=segment,
        plan=plan,
        seats=seats,
        mrr_minor=seats * price,
        signed=signed,
        habit=draw.beta(6.0, 4.0, count),
        breadth=draw.integers(3, 9, count),
    )


def _pick(ranges: tuple[tuple[int, int], ...], segment: NDArray[np.int64]) -> tuple[Ints, Ints]:
    bounds = np.array(ranges)[segment]
    return bounds[:, 0], bounds[:, 1]
