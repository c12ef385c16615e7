"""Where payments and crimes happen: the world, what honestly happened in it, and how much fraud."""

from dataclasses import dataclass

import numpy as np

from lib.fraud.simulation.config import SCENARIO_SHARES, SCENARIOS, SimulationConfig
from lib.fraud.simulation.payments import Ints, Payments
from lib.fraud.simulation.trips import Trips, make_trips
from lib.fraud.simulation.world import (
    DEVICES_PER_USER,
    Merchants,
    Users,
    make_merchants,
    make_users,
)

MEAN_SIZES = {
    "stolen_card": 3.5,
    "device_ring": 24.0,
    "account_takeover": 10.0,
    "card_testing": 19.0,
}


@dataclass(frozen=True)
class World:
    """What every payment needs: the dice, and who pays whom."""

    generator: np.random.Generator
    config: SimulationConfig
    users: Users
    merchants: Merchants
    trips: Trips

    @classmethod
    def draw(cls, generator: np.random.Generator, config: SimulationConfig) -> "World":
        """Merchants, customers and their journeys."""
        merchants = make_merchants(generator, config)
        users = make_users(generator, config, merchants)
        return cls(generator, config, users, merchants, make_trips(generator, config, users))


@dataclass(frozen=True)
class SimulationContext(World):
    """What every crime needs: the world, and what honestly happened in it."""

    honest: Payments

    def payment_count(self, scenario: str) -> int:
        """How many fraudulent payments of a scenario the configuration asks for."""
        frauds = self.config.fraud_share / (1.0 - self.config.fraud_share) * len(self.honest)
        return round(SCENARIO_SHARES[scenario] * frauds)

    def events(self, scenario: str) -> int:
        """How many crimes make up the wanted payments; at least one where any is wanted."""
        payment_count = self.payment_count(scenario)
        return max(1, round(payment_count / MEAN_SIZES[scenario])) if payment_count else 0

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


def labelled(scenario: str, count: int) -> Ints:
    """The scenario's number for every payment of a crime."""
    return np.full(count, SCENARIOS.index(scenario))
