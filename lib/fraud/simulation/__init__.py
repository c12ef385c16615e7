"""A simulator of payments and frauds, for demonstrations, load tests and what real data lacks."""

from lib.fraud.simulation.config import SCENARIOS, SimulationConfig
from lib.fraud.simulation.examples import Example, scenario_examples
from lib.fraud.simulation.simulate import Simulated, simulate

__all__ = ["SCENARIOS", "Example", "Simulated", "SimulationConfig", "scenario_examples", "simulate"]
