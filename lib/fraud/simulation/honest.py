"""Honest payments: habits, journeys, new devices, sprees, refusals and wrong places."""

import numpy as np

from lib.fraud.simulation.cities import (
    CITIES,
    LATITUDES,
    LONGITUDES,
    WEIGHTS,
    scattered,
)
from lib.fraud.simulation.config import DAY_US, HOUR_US, SimulationConfig
from lib.fraud.simulation.payments import (
    CARD_NOT_PRESENT,
    CARD_PRESENT,
    CONTACTLESS,
    GOOD,
    NO_DEVICE,
    WALLET,
    Flags,
    Floats,
    Ints,
    Payments,
)
from lib.fraud.simulation.trips import Trips
from lib.fraud.simulation.world import (
    DEVICES_PER_USER,
    FAVOURITES,
    HOURS,
    ONLINE,
    PRICES,
    SPREADS,
    Merchants,
    Users,
)

LARGEST_MINOR = 5_000_000
_SPREE_SHARE = 0.02
_REFUSED_SHARE = 0.012
_LOST_PLACE_SHARE = 0.10
_LOST_PLACE_SHARE_ONLINE = 0.35
_WRONG_PLACE_SHARE = 0.004


def honest_payments(
    generator: np.random.Generator,
    config: SimulationConfig,
    users: Users,
    merchants: Merchants,
    trips: Trips,
) -> Payments:
    """Every honest payment, in no particular order."""
    user = np.repeat(np.arange(len(users)), generator.poisson(users.rate * config.days))
    day = generator.choice(config.days, user.size, p=_day_weights(config))
    noon = config.start_us + day * DAY_US + DAY_US // 2
    city, _ = trips.where(user, noon, users.city[user])
    merchant = _choose_merchants(generator, users, merchants, user, city)
    time = _times(generator, config, users, merchants, user, merchant, day)
    user, merchant, time = _with_sprees(generator, merchants, user, merchant, time)
    inside = (time >= config.start_us) & (time < config.end_us)
    user, merchant, time = user[inside], merchant[inside], time[inside]
    city, moving = trips.where(user, time, users.city[user])
    online = merchants.is_online(merchant)
    possible = online | (~moving & (merchants.city[merchant] == city))
    user, merchant, time, city = (column[possible] for column in (user, merchant, time, city))
    payments = _complete(generator, users, merchants, user, merchant, time, city)
    # On the way nobody's place is known: home would look like a leap afterwards.
    payments.latitude[moving[possible]] = np.nan
    payments.longitude[moving[possible]] = np.nan
    return payments


def amounts(
    generator: np.random.Generator, merchants: Merchants, merchant: Ints, factor: Floats
) -> Ints:
    """Log-normal amounts in minor units around the merchant's price, at least half a unit."""
    category = merchants.category[merchant]
    spread = SPREADS[category] * generator.normal(size=merchant.size)
    major = PRICES[category] * merchants.price[merchant] * factor * np.exp(spread)
    # One price in three is a round one, as on a shelf.
    rounded = np.where(generator.random(merchant.size) < 0.33, np.ceil(major) - 0.01, major)
    return np.rint(rounded * 100.0).clip(50, LARGEST_MINOR).astype(np.int64)


def _day_weights(config: SimulationConfig) -> Floats:
    weekday = (config.start_us // DAY_US + np.arange(config.days) + 3) % 7
    weights = np.array([0.95, 0.93, 0.95, 1.0, 1.12, 1.15, 0.9])[weekday]
    shares: Floats = weights / weights.sum()
    return shares


def _choose_merchants(
    generator: np.random.Generator, users: Users, merchants: Merchants, user: Ints, city: Ints
) -> Ints:
    rank = (FAVOURITES * generator.random(user.size) ** 1.6).astype(np.int64)
    usual = users.favourites[user, rank]
    other_city = np.where(generator.random(user.size) < 0.7, city, ONLINE)
    other = merchants.pick(generator, other_city)
    explores = generator.random(user.size) < 0.22
    chosen = np.where(explores, other, usual)
    # Away from home a favourite shop is out of reach: one of the place stands in.
    far = ~merchants.is_online(chosen) & (merchants.city[chosen] != city)
    chosen[far] = merchants.pick(generator, city[far])
    return chosen


def _times(
    generator: np.random.Generator,
    config: SimulationConfig,
    users: Users,
    merchants: Merchants,
    user: Ints,
    merchant: Ints,
    day: Ints,
) -> Ints:
    """Local hours around the merchant's usual one, shifted by the customer's own rhythm."""
    usual = HOURS[merchants.category[merchant]] + users.shift_hours[user]
    local = (usual + generator.normal(0.0, 3.0, user.size)) % 24.0
    zone = np.rint(users.longitude[user] / 15.0)
    within = ((local - zone) % 24.0) * HOUR_US
    return config.start_us + day * DAY_US + within.astype(np.int64)


def _with_sprees(
    generator: np.random.Generator, merchants: Merchants, user: Ints, merchant: Ints, time: Ints
) -> tuple[Ints, Ints, Ints]:
    """Some payments begin an afternoon in town: two to seven more nearby within two hours."""
    begins = np.flatnonzero(generator.random(user.size) < _SPREE_SHARE)
    rows = np.repeat(begins, generator.integers(2, 8, begins.size))
    later = time[rows] + (generator.uniform(0.03, 2.0, rows.size) * HOUR_US).astype(np.int64)
    nearby = merchants.pick(generator, merchants.city[merchant[rows]])
    return (
        np.concatenate([user, user[rows]]),
        np.concatenate([merchant, nearby]),
        np.concatenate([time, later]),
    )


def _complete(
    generator: np.random.Generator,
    users: Users,
    merchants: Merchants,
    user: Ints,
    merchant: Ints,
    time: Ints,
    city: Ints,
) -> Payments:
    online = merchants.is_online(merchant)
    method = _methods(generator, users, user, online)
    latitude, longitude = _locations(generator, users, merchants, user, merchant, city)
    # Now and then somebody buys something far dearer than usual.
    dear = np.where(generator.random(user.size) < 0.012, generator.uniform(4, 12, user.size), 1.0)
    return Payments(
        time=time,
        user=user,
        merchant=merchant,
        device=_devices(generator, users, user, time, online | (method == WALLET)),
        amount=amounts(generator, merchants, merchant, users.budget[user] * dear),
        method=method,
        latitude=latitude,
        longitude=longitude,
        declined=generator.random(user.size) < _REFUSED_SHARE,
        scenario=np.full(user.size, GOOD),
    )


def _methods(generator: np.random.Generator, users: Users, user: Ints, online: Flags) -> Ints:
    usual = np.where(online, users.online_method[user], users.shop_method[user])
    shop = generator.choice([CARD_PRESENT, CONTACTLESS, WALLET], user.size)
    other = np.where(online, CARD_NOT_PRESENT, shop)
    return np.where(generator.random(user.size) < 0.85, usual, other)


def _devices(
    generator: np.random.Generator, users: Users, user: Ints, time: Ints, has_device: Flags
) -> Ints:
    renewed = time >= users.renewed_us[user]
    first = user * DEVICES_PER_USER + np.where(renewed, 2, 0)
    used = np.where(generator.random(user.size) < 0.85, first, users.second_device[user])
    return np.where(has_device, used, NO_DEVICE)


def _locations(
    generator: np.random.Generator,
    users: Users,
    merchants: Merchants,
    user: Ints,
    merchant: Ints,
    city: Ints,
) -> tuple[Floats, Floats]:
    """The shop's place; online the payer's, roughly; unknown or wrong for some."""
    online = merchants.is_online(merchant)
    at_home = city == users.city[user]
    guess = np.where(
        generator.random(user.size) < _WRONG_PLACE_SHARE, _anywhere(generator, city), city
    )
    base_latitude = np.where(at_home & (guess == city), users.latitude[user], LATITUDES[guess])
    base_longitude = np.where(at_home & (guess == city), users.longitude[user], LONGITUDES[guess])
    near_latitude, near_longitude = scattered(generator, base_latitude, base_longitude, 4.0)
    lost_share = np.where(online, _LOST_PLACE_SHARE_ONLINE, _LOST_PLACE_SHARE)
    lost = generator.random(user.size) < lost_share
    latitude = np.where(online, near_latitude, merchants.latitude[merchant])
    longitude = np.where(online, near_longitude, merchants.longitude[merchant])
    return np.where(lost, np.nan, latitude), np.where(lost, np.nan, longitude)


def _anywhere(generator: np.random.Generator, city: Ints) -> Ints:
    return generator.choice(len(CITIES), city.size, p=WEIGHTS)
