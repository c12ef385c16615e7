"""Honest payments: habits, journeys, new devices, sprees, refusals and wrong places."""

import numpy as np

from lib.fraud.simulation.cities import CITIES, LATITUDES, LONGITUDES, WEIGHTS, scattered
from lib.fraud.simulation.config import DAY_US, HOUR_US, SimulationConfig
from lib.fraud.simulation.context import World
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
from lib.fraud.simulation.world import (
    DEVICES_PER_USER,
    FAVOURITES,
    HOURS,
    ONLINE,
    PRICES,
    SPREADS,
    Merchants,
)

LARGEST_MINOR = 5_000_000
_SPREE_SHARE = 0.02
_REFUSED_SHARE = 0.012
_LOST_PLACE_SHARE = 0.10
_LOST_PLACE_SHARE_ONLINE = 0.35
_WRONG_PLACE_SHARE = 0.004


def honest_payments(world: World) -> Payments:
    """Every honest payment, in no particular order."""
    dice, config, users, merchants = world.generator, world.config, world.users, world.merchants
    user = np.repeat(np.arange(len(users)), dice.poisson(users.rate * config.days))
    day = dice.choice(config.days, user.size, p=_day_weights(config))
    noon = config.start_us + day * DAY_US + DAY_US // 2
    city, _ = world.trips.where(user, noon, users.city[user])
    merchant = _choose_merchants(world, user, city)
    time = _times(world, user, merchant, day)
    user, merchant, time = _with_sprees(world, user, merchant, time)
    inside = (time >= config.start_us) & (time < config.end_us)
    user, merchant, time = user[inside], merchant[inside], time[inside]
    city, moving = world.trips.where(user, time, users.city[user])
    online = merchants.is_online(merchant)
    possible = online | (~moving & (merchants.city[merchant] == city))
    user, merchant, time, city = (column[possible] for column in (user, merchant, time, city))
    payments = _complete(world, user, merchant, time, city)
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


def _choose_merchants(world: World, user: Ints, city: Ints) -> Ints:
    dice, merchants = world.generator, world.merchants
    rank = (FAVOURITES * dice.random(user.size) ** 1.6).astype(np.int64)
    usual = world.users.favourites[user, rank]
    other = merchants.pick(dice, np.where(dice.random(user.size) < 0.7, city, ONLINE))
    explores = dice.random(user.size) < 0.22
    chosen = np.where(explores, other, usual)
    # Away from home a favourite shop is out of reach: one of the place stands in.
    far = ~merchants.is_online(chosen) & (merchants.city[chosen] != city)
    chosen[far] = merchants.pick(dice, city[far])
    return chosen


def _times(world: World, user: Ints, merchant: Ints, day: Ints) -> Ints:
    """Local hours around the merchant's usual one, shifted by the customer's own rhythm."""
    users = world.users
    usual = HOURS[world.merchants.category[merchant]] + users.shift_hours[user]
    local = (usual + world.generator.normal(0.0, 3.0, user.size)) % 24.0
    zone = np.rint(users.longitude[user] / 15.0)
    within = ((local - zone) % 24.0) * HOUR_US
    return world.config.start_us + day * DAY_US + within.astype(np.int64)


def _with_sprees(world: World, user: Ints, merchant: Ints, time: Ints) -> tuple[Ints, Ints, Ints]:
    """Some payments begin an afternoon in town: two to seven more nearby within two hours."""
    dice, merchants = world.generator, world.merchants
    begins = np.flatnonzero(dice.random(user.size) < _SPREE_SHARE)
    rows = np.repeat(begins, dice.integers(2, 8, begins.size))
    later = time[rows] + (dice.uniform(0.03, 2.0, rows.size) * HOUR_US).astype(np.int64)
    nearby = merchants.pick(dice, merchants.city[merchant[rows]])
    return (
        np.concatenate([user, user[rows]]),
        np.concatenate([merchant, nearby]),
        np.concatenate([time, later]),
    )


def _complete(world: World, user: Ints, merchant: Ints, time: Ints, city: Ints) -> Payments:
    dice, merchants = world.generator, world.merchants
    online = merchants.is_online(merchant)
    method = _methods(world, user, online)
    latitude, longitude = _locations(world, user, merchant, city)
    # Now and then somebody buys something far dearer than usual.
    dear = np.where(dice.random(user.size) < 0.012, dice.uniform(4, 12, user.size), 1.0)
    return Payments(
        time=time,
        user=user,
        merchant=merchant,
        device=_devices(world, user, time, online | (method == WALLET)),
        amount=amounts(dice, merchants, merchant, world.users.budget[user] * dear),
        method=method,
        latitude=latitude,
        longitude=longitude,
        declined=dice.random(user.size) < _REFUSED_SHARE,
        scenario=np.full(user.size, GOOD),
    )


def _methods(world: World, user: Ints, online: Flags) -> Ints:
    dice, users = world.generator, world.users
    usual = np.where(online, users.online_method[user], users.shop_method[user])
    shop = dice.choice([CARD_PRESENT, CONTACTLESS, WALLET], user.size)
    other = np.where(online, CARD_NOT_PRESENT, shop)
    return np.where(dice.random(user.size) < 0.85, usual, other)


def _devices(world: World, user: Ints, time: Ints, has_device: Flags) -> Ints:
    renewed = time >= world.users.renewed_us[user]
    first = user * DEVICES_PER_USER + np.where(renewed, 2, 0)
    usual = world.generator.random(user.size) < 0.85
    return np.where(has_device, np.where(usual, first, world.users.second_device[user]), NO_DEVICE)


def _locations(world: World, user: Ints, merchant: Ints, city: Ints) -> tuple[Floats, Floats]:
    """The shop's place; online the payer's, roughly; unknown or wrong for some."""
    dice, users, merchants = world.generator, world.users, world.merchants
    online = merchants.is_online(merchant)
    is_wrong = dice.random(user.size) < _WRONG_PLACE_SHARE
    guess = np.where(is_wrong, dice.choice(len(CITIES), city.size, p=WEIGHTS), city)
    at_home = (city == users.city[user]) & (guess == city)
    base_latitude = np.where(at_home, users.latitude[user], LATITUDES[guess])
    base_longitude = np.where(at_home, users.longitude[user], LONGITUDES[guess])
    near_latitude, near_longitude = scattered(dice, base_latitude, base_longitude, 4.0)
    lost_share = np.where(online, _LOST_PLACE_SHARE_ONLINE, _LOST_PLACE_SHARE)
    lost = dice.random(user.size) < lost_share
    latitude = np.where(online, near_latitude, merchants.latitude[merchant])
    longitude = np.where(online, near_longitude, merchants.longitude[merchant])
    return np.where(lost, np.nan, latitude), np.where(lost, np.nan, longitude)
