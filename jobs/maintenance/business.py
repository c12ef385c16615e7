"""What predictions came to in a period, as a page: `python -m jobs.maintenance.business --help`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.framework.business import BusinessOptions, PagePart, SystemPage, write_business
from jobs.framework.command import run_job
from jobs.maintenance.plant_log import PlantLogOptions
from lib.business.period import Period
from lib.business.spans import standing_events
from lib.business.statement import Statement
from lib.maintenance.business import (
    WORDING,
    Stops,
    maintenance_measures,
    maintenance_notes,
    maintenance_segments,
    return_on_cost,
)
from lib.maintenance.model.costs import Costs
from lib.maintenance.outcomes import FAILURE, MachineOutcomes


@dataclass(frozen=True, kw_only=True)
class MaintenanceBusinessConfig(BusinessOptions, PlantLogOptions):
    """Write what predictions and services came to: downtime, cost, utilisation, safety stops.

    Failures and services are those of closed work orders and of services that the service was told;
    --failures and --maintenance add the plant's own log. OUTPUT/business.html is for people,
    OUTPUT/business.json for the next --before.
    """

    costs: Costs = field(default_factory=Costs)
    """prices of a service and a failure"""
    horizon_hours: float = MachineOutcomes.horizon_hours
    """hours within which a failure makes a prediction right, as the model's alarm"""


class MaintenancePage(SystemPage):
    """See `SystemPage`."""

    wording, by_row = WORDING, False
    label_source = "reported failures"

    def __init__(self, config: MaintenanceBusinessConfig) -> None:
        self.outcomes = MachineOutcomes(config.costs, config.horizon_hours)
        self._config = config

    def segments(
        self, decisions: pa.Table, _outcomes: pa.Table
    ) -> Mapping[str, Sequence[str | None]]:
        """See `SystemPage`."""
        return maintenance_segments(decisions)

    def part(self, period: Period, labels: pa.Table) -> PagePart:
        """See `SystemPage`."""
        failures = standing_events(labels, (FAILURE,), period.as_of)
        stops = Stops.of(period, self._config.services(), failures)
        return PagePart(
            maintenance_measures(period, self.outcomes, stops), maintenance_notes(self.outcomes)
        )

    def compared(self, now: Statement, before: Statement | None) -> Statement:
        """See `SystemPage`; return is that against the period before."""
        measures = (*now.measures, return_on_cost(now, before))
        return now.model_copy(update={"measures": measures})


def main(config: MaintenanceBusinessConfig) -> str:
    """Write the page; returns its address."""
    return write_business(config, MaintenancePage(config))


if __name__ == "__main__":
    run_job(MaintenanceBusinessConfig, main)
