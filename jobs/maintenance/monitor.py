"""Monitor readings, risks, decisions and failures: `python -m jobs.maintenance.monitor --help`."""

from dataclasses import dataclass, field

from jobs.framework.command import run_job
from jobs.framework.monitoring_options import MonitorOptions, main
from jobs.maintenance.plant_log import PlantLogOptions
from lib.maintenance.model.costs import Costs
from lib.maintenance.monitoring import FailureFigures
from lib.maintenance.outcomes import MachineOutcomes
from lib.monitoring.measures import Money, ObservedOverExpected, RocAuc
from lib.monitoring.watched_system import WatchedSystem


@dataclass(frozen=True, kw_only=True)
class Options(MonitorOptions, PlantLogOptions):
    """Say what changed in machines since the model was trained, and how well it still warns.

    Counts the predictions of a window of days by the bins of the model that made them, and compares
    days with those of its training within a budget of false incidents. An incident names the
    feature, the kind of change, since when, which machines, and what it costs so far. Exit code 0:
    nothing; 3: an incident is open; 1: an error.
    """

    costs: Costs = field(default_factory=Costs)
    """prices of a service and a failure, as the model was trained with"""
    horizon_hours: float = MachineOutcomes.horizon_hours
    """hours within which a failure counts for a prediction"""

    def watched(self) -> WatchedSystem:
        """See `MonitorOptions`."""
        outcomes = MachineOutcomes(self.costs, self.horizon_hours)
        return WatchedSystem(
            outcomes,
            (RocAuc(), ObservedOverExpected(), Money()),
            entity_is_segment=True,
            figures=FailureFigures(outcomes, self.services),
        )


if __name__ == "__main__":
    run_job(Options, main)
