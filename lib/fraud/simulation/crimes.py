"""Five kinds of fraud, each laid over the honest payments as they happened.

- stolen_card: within hours of the victim's own payment in a shop the card pays in a city that
  nobody reaches in that time; sums and shops are mostly ordinary.
- compromised_merchant: for some weeks the cards of a shop's customers are copied and charged there
  again at the shop's usual prices. Only the merchant's record of frauds gives it away.
- device_ring: one device pays for many victims over some days.
- account_takeover: an unknown device makes many online payments within an hour.
- card_testing: dozens of tiny attempts at one online merchant, most of them refused, then a few
  larger payments.

The scenario of compromised terminals follows the Fraud Detection Handbook (Le Borgne, Siblini,
Lebichot, Bontempi, 2022, chapter 3); the others are patterns that card schemes describe. All
numbers are assumptions.
"""

from dataclasses import dataclass

import numpy as np

from lib.fraud.simulation.cities import CITIES, LATITUDES, LONGITUDES, city_distances_km, scattered
from lib.fraud.simulation.config import DAY_US, HOUR_US, MINUTE_US, SCENARIOS, SimulationConfig
from lib.fraud.simulation.honest import amounts
from lib.fraud.simulation.payments import (
    CARD_NOT_PRESENT,
    CARD_PRESENT,
    CONTACTLESS,
    NO_DEVICE,
    WALLET,
    Flags,
    Floats,
    Ints,
    Payments,
    joined,
)
from lib.fraud.simulation.world import DEVICES_PER_USER, ONLINE, Merchants, Users

MEAN_SIZES = {
    "stolen_card": 3.5,
    "device_ring": 24.0,
    "account_takeover": 10.0,
    "card_testing": 19.0,
}
_FAR_KM = 2_000.0


@dataclass(frozen=True)
class Scene:
    """What every crime needs: the dice, the world, and what honestly happened in it."""

    generator: np.random.Generator
    config: SimulationConfig
    users: Users
    merchants: Merchants
    honest: Payments

    def wanted(self, scenario: str) -> int:
        """How many fraudulent payments of a scenario the configuration asks for."""
        share = self.config.scenario_shares[SCENARIOS.index(scenario)]
        frauds = self.config.fraud_share / (1.0 - self.config.fraud_share) * len(self.honest)
        return round(share * frauds)

    def events(self, scenario: str) -> int:
        """How many crimes make up the wanted payments; at least one where any is wanted."""
        wanted = self.wanted(scenario)
        return max(1, round(wanted / MEAN_SIZES[scenario])) if wanted else 0

    def moments(self, count: int) -> Ints:
        """Times spread over the whole history."""
        return self.generator.integers(self.config.start_us, self.config.end_us, count)

    def span(self, low_us: float, high_us: float, count: int) -> Ints:
        """Stretches of time between two lengths."""
        return self.generator.uniform(low_us, high_us, count).astype(np.int64)

    def new_devices(self, first: int, count: int) -> Ints:
        """Devices that no customer owns; `first` keeps the scenarios apart."""
        base = len(self.users) * DEVICES_PER_USER + first * len(self.users)
        return base + np.arange(count)


def all_crimes(scene: Scene) -> Payments:
    """Every fraudulent payment inside the history."""
    crimes = joined(
        [
            stolen_cards(scene),
            compromised_merchants(scene),
            device_rings(scene),
            account_takeovers(scene),
            card_testing(scene),
        ]
    )
    inside = (crimes.time >= scene.config.start_us) & (crimes.time < scene.config.end_us)
    return crimes.take(inside)


def stolen_cards(scene: Scene) -> Payments:
    """Payments in a far city soon after the victim's own in a shop."""
    dice, honest = scene.generator, scene.honest
    seen = np.flatnonzero(~np.isnan(honest.latitude) & ~scene.merchants.is_online(honest.merchant))
    theft = dice.choice(seen, scene.events("stolen_card"))
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
        scenario=_labelled("stolen_card", count),
    )


def compromised_merchants(scene: Scene) -> Payments:
    """Copies of honest payments at shops that leak cards, a few days later at the same shop."""
    dice, honest = scene.generator, scene.honest
    wanted = scene.wanted("compromised_merchant")
    rows = _leaked_payments(scene, wanted)
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
        scenario=_labelled("compromised_merchant", rows.size),
    )


def device_rings(scene: Scene) -> Payments:
    """One device, eight to twenty victims, three weeks at most."""
    dice, rings = scene.generator, scene.events("device_ring")
    victims = dice.integers(8, 21, rings)
    ring = np.repeat(np.arange(rings), victims)
    victim = dice.integers(0, len(scene.users), ring.size)
    size = dice.integers(1, 3, ring.size)
    ring, victim = np.repeat(ring, size), np.repeat(victim, size)
    begins, lasts = scene.moments(rings), scene.span(4 * DAY_US, 21 * DAY_US, rings)
    time = begins[ring] + (dice.random(ring.size) * lasts[ring]).astype(np.int64)
    city = dice.integers(0, len(CITIES), rings)[ring]
    return _online(
        scene,
        "device_ring",
        time,
        victim,
        scene.new_devices(1, rings)[ring],
        city,
        factor=np.exp(dice.normal(0.2, 0.5, ring.size)),
        place_known=0.25,
    )


def account_takeovers(scene: Scene) -> Payments:
    """Six to fourteen online payments within an hour from a device never seen before."""
    dice, events = scene.generator, scene.events("account_takeover")
    victim, begins = dice.integers(0, len(scene.users), events), scene.moments(events)
    event = np.repeat(np.arange(events), dice.integers(6, 15, events))
    time = begins[event] + scene.span(0, HOUR_US, event.size)
    city = dice.integers(0, len(CITIES), events)[event]
    return _online(
        scene,
        "account_takeover",
        time,
        victim[event],
        scene.new_devices(2, events)[event],
        city,
        factor=np.exp(dice.normal(0.4, 0.5, event.size)),
        place_known=0.3,
    )


def card_testing(scene: Scene) -> Payments:
    """Ten to twenty-four tiny attempts at one merchant, then up to three larger payments."""
    dice, events = scene.generator, scene.events("card_testing")
    victim, begins = dice.integers(0, len(scene.users), events), scene.moments(events)
    device = np.where(dice.random(events) < 0.7, scene.new_devices(3, events), NO_DEVICE)
    shop = scene.merchants.pick(dice, np.full(events, ONLINE))
    tries = np.repeat(np.arange(events), dice.integers(10, 25, events))
    lasts = scene.span(15 * MINUTE_US, 90 * MINUTE_US, events)
    tested = begins[tries] + (dice.random(tries.size) * lasts[tries]).astype(np.int64)
    attempts = Payments(
        time=tested,
        user=victim[tries],
        merchant=shop[tries],
        device=device[tries],
        amount=dice.integers(50, 600, tries.size),
        method=np.full(tries.size, CARD_NOT_PRESENT),
        latitude=np.full(tries.size, np.nan),
        longitude=np.full(tries.size, np.nan),
        declined=dice.random(tries.size) < 0.85,
        scenario=_labelled("card_testing", tries.size),
    )
    used = np.repeat(np.arange(events), dice.integers(1, 4, events))
    after = begins[used] + lasts[used] + scene.span(10 * MINUTE_US, 5 * HOUR_US, used.size)
    city = dice.integers(0, len(CITIES), events)[used]
    spent = _online(
        scene,
        "card_testing",
        after,
        victim[used],
        device[used],
        city,
        factor=np.exp(dice.normal(0.8, 0.5, used.size)),
        place_known=0.2,
    )
    return joined([attempts, spent])


def _online(
    scene: Scene,
    scenario: str,
    time: Ints,
    user: Ints,
    device: Ints,
    city: Ints,
    factor: Floats,
    place_known: float,
) -> Payments:
    """Payments at online merchants; what place is known is the criminal's city."""
    dice, count = scene.generator, time.size
    merchant = scene.merchants.pick(dice, np.full(count, ONLINE))
    latitude, longitude = scattered(dice, LATITUDES[city], LONGITUDES[city], 8.0)
    known: Flags = dice.random(count) < place_known
    return Payments(
        time=time,
        user=user,
        merchant=merchant,
        device=device,
        amount=amounts(dice, scene.merchants, merchant, factor),
        method=dice.choice([CARD_NOT_PRESENT, WALLET], count, p=[0.8, 0.2]),
        latitude=np.where(known, latitude, np.nan),
        longitude=np.where(known, longitude, np.nan),
        declined=dice.random(count) < 0.04,
        scenario=_labelled(scenario, count),
    )


def _leaked_payments(scene: Scene, wanted: int) -> Ints:
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
    leaking[order[: int(np.searchsorted(expected, wanted)) + 1]] = wanted > 0
    since = honest.time - begins[honest.merchant]
    exposed = leaking[honest.merchant] & (since >= 0) & (since < stretch)
    return np.flatnonzero(exposed & (dice.random(len(honest)) < 0.42))


def _far_cities(generator: np.random.Generator, city: Ints) -> Ints:
    """A city more than `_FAR_KM` from each given one."""
    far = city_distances_km() > _FAR_KM
    chances = np.cumsum(far / far.sum(axis=1, keepdims=True), axis=1)
    below = chances[city] < generator.random(city.size)[:, None]
    chosen: Ints = below.sum(axis=1).clip(max=len(CITIES) - 1)
    return chosen


def _labelled(scenario: str, count: int) -> Ints:
    return np.full(count, SCENARIOS.index(scenario))
