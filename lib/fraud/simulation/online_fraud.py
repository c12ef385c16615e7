"""Frauds online: rings around one device, accounts taken over, cards tested."""

import numpy as np

from lib.fraud.simulation import payments
from lib.fraud.simulation.cities import CITIES, LATITUDES, LONGITUDES, scattered
from lib.fraud.simulation.config import DAY_US, HOUR_US, MINUTE_US
from lib.fraud.simulation.context import SimulationContext, labelled
from lib.fraud.simulation.honest import amounts
from lib.fraud.simulation.world import ONLINE


def device_rings(scene: SimulationContext) -> payments.Payments:
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
    device = scene.new_devices(1, rings)[ring]
    return _online(scene, "device_ring", time, victim, device, city, 0.2, place_known=0.25)


def account_takeovers(scene: SimulationContext) -> payments.Payments:
    """Six to fourteen online payments within an hour from a device never seen before."""
    dice, events = scene.generator, scene.events("account_takeover")
    victim, begins = dice.integers(0, len(scene.users), events), scene.moments(events)
    event = np.repeat(np.arange(events), dice.integers(6, 15, events))
    time = begins[event] + scene.span(0, HOUR_US, event.size)
    city = dice.integers(0, len(CITIES), events)[event]
    user, device = victim[event], scene.new_devices(2, events)[event]
    return _online(scene, "account_takeover", time, user, device, city, 0.4, place_known=0.3)


def card_testing(scene: SimulationContext) -> payments.Payments:
    """Ten to twenty-four tiny attempts at one merchant, then up to three larger payments."""
    dice, events = scene.generator, scene.events("card_testing")
    victim, begins = dice.integers(0, len(scene.users), events), scene.moments(events)
    device = np.where(dice.random(events) < 0.7, scene.new_devices(3, events), payments.NO_DEVICE)
    shop = scene.merchants.pick(dice, np.full(events, ONLINE))
    tries = np.repeat(np.arange(events), dice.integers(10, 25, events))
    lasts = scene.span(15 * MINUTE_US, 90 * MINUTE_US, events)
    tested = begins[tries] + (dice.random(tries.size) * lasts[tries]).astype(np.int64)
    attempts = payments.Payments(
        time=tested,
        user=victim[tries],
        merchant=shop[tries],
        device=device[tries],
        amount=dice.integers(50, 600, tries.size),
        method=np.full(tries.size, payments.CARD_NOT_PRESENT),
        latitude=np.full(tries.size, np.nan),
        longitude=np.full(tries.size, np.nan),
        declined=dice.random(tries.size) < 0.85,
        scenario=labelled("card_testing", tries.size),
    )
    used = np.repeat(np.arange(events), dice.integers(1, 4, events))
    after = begins[used] + lasts[used] + scene.span(10 * MINUTE_US, 5 * HOUR_US, used.size)
    city = dice.integers(0, len(CITIES), events)[used]
    user, device = victim[used], device[used]
    spent = _online(scene, "card_testing", after, user, device, city, 0.8, place_known=0.2)
    return payments.joined([attempts, spent])


def _online(
    scene: SimulationContext,
    scenario: str,
    time: payments.Ints,
    user: payments.Ints,
    device: payments.Ints,
    city: payments.Ints,
    excess: float,
    place_known: float,
) -> payments.Payments:
    """Payments at online merchants; what place is known is the criminal's city.

    Amounts exceed the usual ones by a factor whose logarithm is `excess` in the mean.
    """
    dice, count = scene.generator, time.size
    factor = np.exp(dice.normal(excess, 0.5, count))
    merchant = scene.merchants.pick(dice, np.full(count, ONLINE))
    latitude, longitude = scattered(dice, LATITUDES[city], LONGITUDES[city], 8.0)
    has_location: payments.Flags = dice.random(count) < place_known
    return payments.Payments(
        time=time,
        user=user,
        merchant=merchant,
        device=device,
        amount=amounts(dice, scene.merchants, merchant, factor),
        method=dice.choice([payments.CARD_NOT_PRESENT, payments.WALLET], count, p=[0.8, 0.2]),
        latitude=np.where(has_location, latitude, np.nan),
        longitude=np.where(has_location, longitude, np.nan),
        declined=dice.random(count) < 0.04,
        scenario=labelled(scenario, count),
    )
