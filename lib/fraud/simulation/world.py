"""Who pays whom: customers with homes, habits and devices, merchants with places and prices."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lib.fraud.simulation.cities import CITIES, LATITUDES, LONGITUDES, WEIGHTS, scattered
from lib.fraud.simulation.config import DAY_US, SimulationConfig
from lib.fraud.simulation.payments import (
    BANK_TRANSFER,
    CARD_NOT_PRESENT,
    CARD_PRESENT,
    CONTACTLESS,
    WALLET,
    Flags,
    Floats,
    Ints,
)

ONLINE = len(CITIES)
FAVOURITES = 12
DEVICES_PER_USER = 3
_LOCAL_FAVOURITES = 8
_ONLINE_SHARE = 0.2


class Category(NamedTuple):
    """A kind of merchant: median price in major units, its log spread, usual local hour."""

    name: str
    online: bool
    weight: float
    price: float
    spread: float
    hour: float


CATEGORIES = (
    Category("grocery", False, 0.30, 28.0, 0.7, 17.5),
    Category("restaurant", False, 0.25, 22.0, 0.6, 19.0),
    Category("kiosk", False, 0.15, 4.5, 0.6, 11.0),
    Category("fuel", False, 0.10, 45.0, 0.4, 8.5),
    Category("fashion", False, 0.10, 60.0, 0.8, 15.0),
    Category("electronics", False, 0.06, 140.0, 1.0, 15.5),
    Category("jewellery", False, 0.04, 180.0, 1.0, 15.0),
    Category("marketplace", True, 0.40, 38.0, 0.9, 20.5),
    Category("digital", True, 0.35, 6.0, 0.9, 21.0),
    Category("travel", True, 0.15, 190.0, 0.9, 20.0),
    Category("top_up", True, 0.10, 20.0, 0.5, 18.0),
)
PRICES: Floats = np.array([category.price for category in CATEGORIES])
SPREADS: Floats = np.array([category.spread for category in CATEGORIES])
HOURS: Floats = np.array([category.hour for category in CATEGORIES])


@dataclass(frozen=True, slots=True)
class Merchants:
    """m merchants, sorted by city; the online ones, city `ONLINE`, come last.

    Attributes:
        city: (m,) index into `CITIES`, or `ONLINE`.
        category: (m,) index into `CATEGORIES`.
        price: (m,) factor on the category's median price.
        latitude: (m,) degrees, NaN online.
        longitude: (m,) degrees, NaN online.
        first: (cities + 2,) row where each city's merchants start.
    """

    city: Ints
    category: Ints
    price: Floats
    latitude: Floats
    longitude: Floats
    first: Ints

    def pick(self, generator: np.random.Generator, city: Ints) -> Ints:
        """A merchant of each city, popular ones more often (a power law in the rank)."""
        size = self.first[city + 1] - self.first[city]
        rank = (size * generator.random(city.size) ** 2.0).astype(np.int64)
        return self.first[city] + rank

    def is_online(self, merchant: Ints) -> Flags:
        """True for merchants without a place."""
        online: Flags = self.city[merchant] == ONLINE
        return online


@dataclass(frozen=True, slots=True)
class Users:
    """n customers, every array with n rows.

    Attributes:
        city: index into `CITIES`.
        latitude: home, degrees.
        longitude: home, degrees.
        rate: mean payments in a day.
        budget: factor on every price.
        shift_hours: later (positive) or earlier than others.
        favourites: (n, FAVOURITES) merchants, the dearest first.
        shop_method: usual method in shops.
        online_method: usual method online.
        second_device: device used now and then: own, or shared in a household.
        renewed_us: from then on the first device is a new one; beyond the end: never.
    """

    city: Ints
    latitude: Floats
    longitude: Floats
    rate: Floats
    budget: Floats
    shift_hours: Floats
    favourites: Ints
    shop_method: Ints
    online_method: Ints
    second_device: Ints
    renewed_us: Ints

    def __len__(self) -> int:
        return int(self.city.size)


def make_merchants(generator: np.random.Generator, config: SimulationConfig) -> Merchants:
    """Merchants of every city and online; no city is without some."""
    count = max(200, config.users // 2)
    online = max(20, int(count * _ONLINE_SHARE))
    local = max(count - online, 5 * len(CITIES))
    spread = generator.choice(len(CITIES), local - 3 * len(CITIES), p=WEIGHTS)
    everywhere = np.repeat(np.arange(len(CITIES)), 3)
    city = np.sort(np.concatenate([spread, everywhere, np.full(online, ONLINE)]))
    latitude, longitude = scattered(
        generator, np.append(LATITUDES, 0.0)[city], np.append(LONGITUDES, 0.0)[city], 5.0
    )
    no_place = city == ONLINE
    return Merchants(
        city=city,
        category=np.where(no_place, _categories(generator, city.size, True), 0)
        + np.where(no_place, 0, _categories(generator, city.size, False)),
        price=np.exp(generator.normal(0.0, 0.3, city.size)),
        latitude=np.where(no_place, np.nan, latitude),
        longitude=np.where(no_place, np.nan, longitude),
        first=np.searchsorted(city, np.arange(len(CITIES) + 2)),
    )


def make_users(
    generator: np.random.Generator, config: SimulationConfig, merchants: Merchants
) -> Users:
    """Customers around the cities, each with habits of their own."""
    count = config.users
    # Sorted, so that neighbours in number live in one city and may share a device.
    city = np.sort(generator.choice(len(CITIES), count, p=WEIGHTS))
    latitude, longitude = scattered(generator, LATITUDES[city], LONGITUDES[city], 7.0)
    renewals = generator.exponential(300.0, count) * DAY_US
    return Users(
        city=city,
        latitude=latitude,
        longitude=longitude,
        rate=generator.gamma(2.0, config.payments_per_day / 2.0, count),
        budget=np.exp(generator.normal(0.0, 0.4, count)),
        shift_hours=generator.normal(0.0, 1.5, count),
        favourites=_favourites(generator, city, merchants),
        shop_method=generator.choice(
            [CARD_PRESENT, CONTACTLESS, WALLET], count, p=[0.35, 0.4, 0.25]
        ),
        online_method=generator.choice(
            [CARD_NOT_PRESENT, WALLET, BANK_TRANSFER], count, p=[0.7, 0.2, 0.1]
        ),
        second_device=_second_devices(generator, count),
        renewed_us=config.start_us + renewals.astype(np.int64),
    )


def _categories(generator: np.random.Generator, count: int, online: bool) -> Ints:
    weights = np.array(
        [category.weight if category.online == online else 0.0 for category in CATEGORIES]
    )
    return generator.choice(len(CATEGORIES), count, p=weights / weights.sum())


def _favourites(generator: np.random.Generator, city: Ints, merchants: Merchants) -> Ints:
    """Shops of the own city and online shops, in an order of the customer's own."""
    local = [merchants.pick(generator, city) for _ in range(_LOCAL_FAVOURITES)]
    online = np.full(city.size, ONLINE)
    distant = [merchants.pick(generator, online) for _ in range(FAVOURITES - _LOCAL_FAVOURITES)]
    return generator.permuted(np.stack([*local, *distant], axis=1), axis=1)


def _second_devices(generator: np.random.Generator, count: int) -> Ints:
    """One's own second device, or, for one in eight, the first device of somebody else at home."""
    own = np.arange(count) * DEVICES_PER_USER + 1
    neighbour = (np.arange(count) ^ 1).clip(max=count - 1) * DEVICES_PER_USER
    return np.where(generator.random(count) < 0.125, neighbour, own)
