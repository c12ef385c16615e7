"""Accounts as they are signed, and what befalls them: troubles, and notice that follows from them.

An account's hazard of giving notice on a day is `base x exp(sum of strength x severity)`. A trouble
begins at a random day, grows for about two months, and passes after a while unless the account has
left: so trouble precedes leaving by months, and most trouble does not end in it.
"""

from collections.abc import Mapping
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
CAUSES = ("adoption", "support", "payment", "champion", "competitor", "price")
"""Known causes: what each shows in what is told, `tables.py` says."""
STRENGTH = np.array([3.2, 2.9, 2.6, 3.0, 2.8, 2.6])
"""Log hazard ratio of each trouble at its worst."""
_A_YEAR = np.array([0.30, 0.22, 0.16, 0.14, 0.16, 0.16])
_GROWS, _LASTS = (50, 110), (80, 220)
_CALM = np.array([0.75, 1.0, 1.15])
STAYS = -1
TREATMENTS: Mapping[str, Mapping[str, float]] = {
    "success_call": {"support": 0.35, "competitor": 0.25, "champion": 0.20},
    "training": {"adoption": 0.75},
    "discount": {"price": 0.70, "competitor": 0.35, "payment": 0.25},
    "executive_sponsor": {"champion": 0.75, "competitor": 0.30},
    "support_review": {"support": 0.75},
}
"""By playbook, the share of each trouble's severity that it takes away."""
ANNOYANCE: Mapping[str, float] = {"success_call": 1.06, "discount": 1.10}
"""Hazard ratio for accounts without trouble: a discount tells a calm customer to ask for more."""
_CALM_BELOW = 0.15


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


@dataclass(frozen=True)
class Lifecycles:
    """What happened to each account on each day.

    Attributes:
        accounts: who.
        severity: (accounts, causes, days) float32, 0 to 1.
        hazard: (accounts, days) chance to give notice on a day.
        notice: (accounts,) day of notice; `STAYS` for none.
        cause: (accounts,) the worst trouble at notice; `STAYS` for none.
    """

    accounts: Accounts
    severity: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]
    hazard: Floats
    notice: Ints
    cause: Ints


def simulate_lifecycles(config: SimulationConfig, accounts: Accounts) -> Lifecycles:
    """Let all days pass."""
    draw, count = np.random.default_rng([config.seed, 2]), config.accounts
    severity = _troubles(config, draw, count)
    ratio = np.exp(np.einsum("k,nkd->nd", STRENGTH, severity)) * _CALM[accounts.segment][:, None]
    present = np.arange(config.days) >= accounts.signed[:, None]
    daily = -np.log1p(-config.leave_a_year) / 365.0
    hazard = daily * ratio / ratio[present].mean() * present
    probability = -np.expm1(-hazard)
    gives = draw.random((count, config.days)) < probability
    first = np.argmax(gives, axis=1)
    notice = np.where(gives.any(axis=1), first, STAYS).astype(np.int64)
    at = severity[np.arange(count), :, np.maximum(notice, 0)]
    worst = np.where((notice >= 0) & (at.max(axis=1) > 0.2), at.argmax(axis=1), STAYS)
    return Lifecycles(accounts, severity, probability, notice, worst.astype(np.int64))


def _troubles(
    config: SimulationConfig, draw: np.random.Generator, count: int
) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Severity by account, cause and day."""
    days = np.arange(config.days)
    severity = np.zeros((count, len(CAUSES), config.days), dtype=np.float32)
    for cause, rate in enumerate(_A_YEAR):
        for _ in range(1 + config.days // 365):
            begins = draw.integers(-120, config.days, count)
            comes = draw.random(count) < rate
            grows, lasts = draw.integers(*_GROWS, count), draw.integers(*_LASTS, count)
            peak = draw.uniform(0.45, 1.0, count)
            since = days[None, :] - begins[:, None]
            up = np.clip(since / grows[:, None], 0.0, 1.0)
            down = np.clip(1.0 - (since - lasts[:, None]) / 40.0, 0.0, 1.0)
            wave = np.where(comes[:, None], np.minimum(up, down) * peak[:, None], 0.0)
            severity[:, cause] = np.maximum(severity[:, cause], wave)
    return severity


def chances_to_leave(
    lives: Lifecycles, accounts: Ints, day: int, window: int, treatment: str | None
) -> Floats:
    """True chance of accounts to give notice within `(day, day + window]`, treated on that day.

    Args:
        lives: what happens.
        accounts: places of accounts that are there and have not given notice.
        day: of the simulation.
        window: days.
        treatment: a key of `TREATMENTS`; None for doing nothing.
    """
    ahead = slice(day + 1, day + 1 + window)
    hazard = -np.log1p(-lives.hazard[accounts, ahead])
    if treatment is None:
        return np.asarray(-np.expm1(-hazard.sum(axis=1)))
    severity = lives.severity[accounts][:, :, ahead]
    effect = np.array([TREATMENTS[treatment].get(cause, 0.0) for cause in CAUSES])
    relief = np.einsum("k,nkd->nd", STRENGTH * effect, severity)
    calm = severity[:, :, :1].max(axis=(1, 2)) < _CALM_BELOW
    factor = np.where(calm, ANNOYANCE.get(treatment, 1.0), 1.0)[:, None]
    return np.asarray(-np.expm1(-(hazard * np.exp(-relief) * factor).sum(axis=1)))
