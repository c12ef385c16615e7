"""What a plant's own log and work orders say of failures and services, for jobs on decisions."""

from dataclasses import dataclass

import pyarrow as pa

from jobs.framework.decision_source import DecisionOptions, DecisionSource
from jobs.framework.outcomes import EventFile, with_events
from jobs.framework.paths import InputPath
from lib.maintenance.contracts import FAILURES, MAINTENANCE
from lib.maintenance.outcomes import FAILURE
from lib.maintenance.repository import WorkOrderRepository
from lib.maintenance.work_order_tables import service_table


@dataclass(frozen=True, kw_only=True)
class PlantLogOptions(DecisionOptions):
    """Failures and services beside those of closed work orders and those the service was told."""

    failures: InputPath | None = None
    """failures of the plant's log: Parquet or CSV file, folder or URI; one that a work order
    reports within a day counts once"""
    mapping_failures: InputPath | None = None
    """YAML mapping file of --failures"""
    maintenance: InputPath | None = None
    """services and repairs of the plant's log, likewise, in place of those of work orders"""
    mapping_maintenance: InputPath | None = None
    """YAML mapping file of --maintenance"""

    def check(self) -> None:
        """See `JobOptions`."""
        super().check()
        self._failure_file.check()
        self._service_file.check()

    @property
    def _failure_file(self) -> EventFile:
        return EventFile(FAILURES, self.failures, self.mapping_failures)

    @property
    def _service_file(self) -> EventFile:
        return EventFile(MAINTENANCE, self.maintenance, self.mapping_maintenance)

    def known_labels(self, source: DecisionSource) -> pa.Table:
        """Failures as rows of `LABEL_SCHEMA`."""
        return with_events(super().known_labels(source), self._failure_file, "machine_id", FAILURE)

    def services(self) -> pa.Table:
        """Services and repairs as rows of the contract `MAINTENANCE`."""
        logged = self._service_file.read()
        if logged is not None:
            return logged
        if self.records is None:
            return service_table([])
        with WorkOrderRepository(self.records) as orders:
            return MAINTENANCE.check(service_table(orders.list_closed(0, 2**62))).good
