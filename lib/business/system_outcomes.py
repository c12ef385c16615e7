"""The outcomes of each system, for what serves all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib.business.outcomes import SystemOutcomes
from lib.churn.outcomes import CustomerOutcomes
from lib.fraud.outcomes import FraudOutcomes
from lib.maintenance.outcomes import MachineOutcomes
from lib.moderation.outcomes import PostOutcomes
from lib.records.systems import recorded_system


def outcomes_of(system: str) -> SystemOutcomes:
    """Outcomes of a system by the prices that it comes with.

    Raises:
        RecordsError: there is no such system.
    """
    recorded_system(system)
    outcomes: SystemOutcomes = _MAKERS[system]()
    return outcomes


_MAKERS: dict[str, Callable[[], Any]] = {
    "fraud": FraudOutcomes,
    "maintenance": MachineOutcomes,
    "churn": CustomerOutcomes,
    "moderation": PostOutcomes,
}
