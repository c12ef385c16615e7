"""What predictions came to in a period, as a page: `python -m jobs.maintenance.business --help`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.framework.business import BusinessOptions, PagePart, SystemPage, write_business
from jobs.framework.command import run_job
from jobs.framework.decision_source import DecisionSource
from jobs.framework.outcomes import labels_of, with_events
from jobs.framework.paths import InputPath
from jobs.ingestion import checked_mapping, mapping_for, read_whole
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
from lib.maintenance.contracts import FAILURES, MAINTENANCE
from lib.maintenance.model.settings import Costs
from lib.maintenance.outcomes import FAILURE, MachineOutcomes
from lib.maintenance.repository import WorkOrderRepository
from lib.maintenance.work_order_tables import service_table


@dataclass(frozen=True, kw_only=True)
class MaintenanceBusinessConfig(BusinessOptions):
    """Write what predictions and services came to: downtime, cost, utilisation, safety stops.

    Failures and services are those of closed work orders and of services that the service was told;
    --failures and --maintenance add the plant's own log. OUTPUT/business.html is for people,
    OUTPUT/business.json for the next --before.
    """

    failures: InputPath | None = None
    """failures of the plant's log: Parquet or CSV file, folder or URI; one that a work order
    reports within a day counts once"""
    mapping_failures: InputPath | None = None
    """YAML mapping file of --failures"""
    maintenance: InputPath | None = None
    """services and repairs of the plant's log, likewise, in place of those of work orders"""
    mapping_maintenance: InputPath | None = None
    """YAML mapping file of --maintenance"""
    costs: Costs = field(default_factory=Costs)
    """prices of a service and a failure"""
    horizon_hours: float = MachineOutcomes.horizon_hours
    """hours within which a failure makes a prediction right, as the model's alarm"""

    def check(self) -> None:
        """See `JobOptions`."""
        super().check()
        for contract, path, mapping in (
            (FAILURES, self.failures, self.mapping_failures),
            (MAINTENANCE, self.maintenance, self.mapping_maintenance),
        ):
            if path is not None:
                checked_mapping(contract, mapping, path)


class MaintenancePage(SystemPage):
    """See `SystemPage`."""

    wording, by_row = WORDING, False
    label_source = "reported failures"

    def __init__(self, config: MaintenanceBusinessConfig) -> None:
        self.outcomes = MachineOutcomes(config.costs, config.horizon_hours)
        self._config = config

    def labels(self, source: DecisionSource) -> pa.Table:
        """See `SystemPage`."""
        labels, config = labels_of(source, None), self._config
        path, mapping = config.failures, config.mapping_failures
        return with_events(labels, FAILURES, path, mapping, "machine_id", FAILURE)

    def segments(
        self, decisions: pa.Table, _outcomes: pa.Table
    ) -> Mapping[str, Sequence[str | None]]:
        """See `SystemPage`."""
        return maintenance_segments(decisions)

    def part(self, period: Period, labels: pa.Table) -> PagePart:
        """See `SystemPage`."""
        failures = standing_events(labels, (FAILURE,), period.as_of)
        stops = Stops.of(period, self._services(), failures)
        return PagePart(
            maintenance_measures(period, self.outcomes, stops), maintenance_notes(self.outcomes)
        )

    def compared(self, now: Statement, before: Statement | None) -> Statement:
        """See `SystemPage`; return is that against the period before."""
        measures = (*now.measures, return_on_cost(now, before))
        return now.model_copy(update={"measures": measures})

    def _services(self) -> pa.Table:
        config = self._config
        if config.maintenance is not None:
            mapping = mapping_for(MAINTENANCE, config.mapping_maintenance, config.maintenance)
            return read_whole(mapping, config.maintenance, may_be_empty=True)
        if config.records is None:
            return service_table([])
        with WorkOrderRepository(config.records) as orders:
            return MAINTENANCE.check(service_table(orders.list_closed(0, 2**62))).good


def main(config: MaintenanceBusinessConfig) -> str:
    """Write the page; returns its address."""
    return write_business(config, MaintenancePage(config))


if __name__ == "__main__":
    run_job(MaintenanceBusinessConfig, main)
