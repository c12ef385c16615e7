"""Honest journeys: at most a few for each customer, at a plausible speed."""

from dataclasses import dataclass

import numpy as np

from lib.fraud.simulation.cities import CITIES, WEIGHTS, city_distances_km
from lib.fraud.simulation.config import DAY_US, HOUR_US, SimulationConfig
from lib.fraud.simulation.payments import Flags, Ints
from lib.fraud.simulation.world import Users

TRAVEL_KMH = 700.0
TRANSFER_HOURS = 3.0
_SLOTS = 3
_TRIPS_PER_60_DAYS = 0.6


@dataclass(frozen=True, slots=True)
class Trips:
    """At most `_SLOTS` journeys of each customer, arrays (users, slots); no two overlap.

    A journey leaves home at `leaves` and is there at `arrives`, turns back at `returns` and is
    home at `home`. Between the places nobody pays in a shop, so honest speed stays below
    `TRAVEL_KMH`.
    """

    city: Ints
    leaves: Ints
    arrives: Ints
    returns: Ints
    home: Ints

    def where(self, user: Ints, time: Ints, home_city: Ints) -> tuple[Ints, Flags]:
        """City each customer is in at that time, and whether they are on the way."""
        city = home_city.copy()
        moving = np.zeros(time.size, dtype=np.bool_)
        for slot in range(self.city.shape[1]):
            leaves, home = self.leaves[user, slot], self.home[user, slot]
            arrives, returns = self.arrives[user, slot], self.returns[user, slot]
            away = (time >= arrives) & (time < returns)
            city[away] = self.city[user, slot][away]
            moving |= (time >= leaves) & (time < home) & ~away
        return city, moving


def make_trips(generator: np.random.Generator, config: SimulationConfig, users: Users) -> Trips:
    """Journeys of one to twelve days to other cities at a plausible speed."""
    shape = (len(users), _SLOTS)
    slot_us = config.days * DAY_US // _SLOTS
    city = generator.choice(len(CITIES), shape, p=WEIGHTS)
    distance = city_distances_km()[users.city[:, None], city]
    transfer = ((distance / TRAVEL_KMH + TRANSFER_HOURS) * HOUR_US).astype(np.int64)
    longest = (slot_us - 2 * transfer).clip(0)
    stay = np.minimum(generator.uniform(1.0, 12.0, shape) * DAY_US, longest * 0.9).astype(np.int64)
    slack = longest - stay
    leaves = (
        config.start_us
        + np.arange(_SLOTS) * slot_us
        + (generator.random(shape) * slack).astype(np.int64)
    )
    has_trip = generator.random(shape) < _TRIPS_PER_60_DAYS * config.days / 60 / _SLOTS
    leaves = np.where(has_trip & (stay > 0), leaves, 2**62)
    arrives = leaves + transfer
    returns = arrives + stay
    return Trips(city, leaves, arrives, returns, returns + transfer)
