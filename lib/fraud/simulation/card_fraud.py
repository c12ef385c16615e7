"""Frauds with copied or stolen cards, mostly in shops."""

import numpy as np

from lib.fraud.simulation.cities import CITIES, city_distances_km
from lib.fraud.simulation.config import DAY_US, HOUR_US, MINUTE_US
from lib.fraud.simulation.context import SimulationContext, labelled
from lib.fraud.simulation.honest import amounts
from lib.fraud.simulation.payments import (
    CARD_NOT_PRESENT,
    CARD_PRESENT,
    CONTACTLESS,
    NO_DEVICE,
    Ints,
    Payments,
)

_FAR_KM = 2_000.0


def stolen_cards(scene: SimulationContext) -> Payments:
    """Payments in a far city soon after the victim's own in a shop."""
    dice, honest = scene.generator, scene.honest
    candidates = np.flatnonzero(
        ~np.isnan(honest.latitude) & ~scene.merchants.is_online(honest.merchant)
    )
    theft = dice.choice(candidates, scene.events("stolen_card"))
    size = dice.integers(2, 6, theft.size)
    event = np.repeat(np.arange(theft.size), size)
    delay = scene.span(10 * MINUTE_US, 100 * MINUTE_US, theft.size)[event]
    later = scene.span(0, 90 * MINUTE_US, event.size)
    city = _far_cities(dice, scene.merchants.city[honest.merchant[theft]])
    merchant = scene.merchants.pick(dice, city[event])
    unknown = dice.random(event.size) < 0.2
    factor = np.exp(dice.normal(0.25, 0.5, event.size))
    count = event.size
    return Payments(
        time=honest.time[theft][event] + delay + later,
        user=honest.user[theft][event],
        merchant=merchant,
        device=np.full(count, NO_DEVICE),
        amount=amounts(dice, scene.merchants, merchant, factor),
        method=dice.choice([CARD_PRESENT, CONTACTLESS], count, p=[0.6, 0.4]),
        latitude=np.where(unknown, np.nan, scene.merchants.latitude[merchant]),
        longitude=np.where(unknown, np.nan, scene.merchants.longitude[merchant]),
        declined=dice.random(count) < 0.05,
        scenario=labelled("stolen_card", count),
    )


def compromised_merchants(scene: SimulationContext) -> Payments:
    """Copies of honest payments at shops that leak cards, a few days later at the same shop."""
    dice, honest = scene.generator, scene.honest
    target_count = scene.payment_count("compromised_merchant")
    rows = _leaked_payments(scene, target_count)
    delay = scene.span(2 * HOUR_US, 6 * DAY_US, rows.size)
    merchant = honest.merchant[rows]
    online = scene.merchants.is_online(merchant)
    unknown = dice.random(rows.size) < 0.15
    factor = scene.users.budget[honest.user[rows]] * np.exp(dice.normal(0.1, 0.3, rows.size))
    return Payments(
        time=honest.time[rows] + delay,
        user=honest.user[rows],
        merchant=merchant,
        device=np.where(online, scene.new_devices(4, rows.size), NO_DEVICE),
        amount=amounts(dice, scene.merchants, merchant, factor),
        method=np.where(online, CARD_NOT_PRESENT, honest.method[rows]),
        latitude=np.where(unknown, np.nan, scene.merchants.latitude[merchant]),
        longitude=np.where(unknown, np.nan, scene.merchants.longitude[merchant]),
        declined=dice.random(rows.size) < 0.02,
        scenario=labelled("compromised_merchant", rows.size),
    )


def _leaked_payments(scene: SimulationContext, target_count: int) -> Ints:
    """Honest payments whose cards are copied: about a third of those in a leaking stretch."""
    dice, honest, config = scene.generator, scene.honest, scene.config
    order = dice.permutation(scene.merchants.city.size)
    traffic = np.bincount(honest.merchant, minlength=order.size)
    order = order[(traffic[order] >= 20) & (traffic[order] <= 40 * max(1, config.days))]
    stretch = min(28, max(7, config.days // 2)) * DAY_US
    begins = np.zeros(scene.merchants.city.size, dtype=np.int64)
    begins[order] = scene.moments(order.size) - stretch // 2
    expected = np.cumsum(traffic[order] * 0.35 * min(1.0, stretch / (config.days * DAY_US)))
    leaking = np.zeros(scene.merchants.city.size, dtype=np.bool_)
    leaking[order[: int(np.searchsorted(expected, target_count)) + 1]] = target_count > 0
    since = honest.time - begins[honest.merchant]
    exposed = leaking[honest.merchant] & (since >= 0) & (since < stretch)
    return np.flatnonzero(exposed & (dice.random(len(honest)) < 0.42))


def _far_cities(generator: np.random.Generator, city: Ints) -> Ints:
    """A city more than `_FAR_KM` from each given one."""
    far = city_distances_km() > _FAR_KM
    cumulative = np.cumsum(far / far.sum(axis=1, keepdims=True), axis=1)
    below = cumulative[city] < generator.random(city.size)[:, None]
    chosen: Ints = below.sum(axis=1).clip(max=len(CITIES) - 1)
    return chosen
