"""Simulated B2B accounts with known causes of leaving and known effects of interventions."""

from lib.churn.simulation.accounts import Accounts, SimulationConfig, draw_accounts
from lib.churn.simulation.effects import TREATMENTS, chances_to_leave
from lib.churn.simulation.lifecycle import CAUSES, Lifecycles, simulate_lifecycles
from lib.churn.simulation.tables import write_tables

__all__ = [
    "CAUSES",
    "TREATMENTS",
    "Accounts",
    "Lifecycles",
    "SimulationConfig",
    "chances_to_leave",
    "draw_accounts",
    "simulate_lifecycles",
    "write_tables",
]
