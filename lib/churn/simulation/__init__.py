"""Simulated B2B accounts with known causes of leaving and known effects of interventions."""

from lib.churn.simulation.accounts import Accounts, SimulationConfig, draw_accounts
from lib.churn.simulation.effects import TREATMENTS, chances_to_leave
from lib.churn.simulation.life import CAUSES, Lives, live
from lib.churn.simulation.telling import tell

__all__ = [
    "CAUSES",
    "TREATMENTS",
    "Accounts",
    "Lives",
    "SimulationConfig",
    "chances_to_leave",
    "draw_accounts",
    "live",
    "tell",
]
