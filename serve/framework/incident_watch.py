"""Shows how many incidents of monitoring are open, as the records hold them."""

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.guarded_call import GuardedCall
from lib.monitoring.repository import MonitoringRepository
from lib.records import RecordsError, RecordsUnavailableError
from serve.framework.metrics import Metrics, incidents_open

_SECONDS = 1.5


class IncidentWatch:
    """Reads the number of open incidents for a gauge.

    A database that hangs takes no thread of anything else; the gauge keeps its last value then.

    Args:
        system: whose incidents.
        records: URL of the database.
        meter: with the gauge.
    """

    def __init__(self, system: str, records: str, meter: Metrics) -> None:
        self._system, self._meter = system, meter
        self._gauge = incidents_open(system).name
        self._repository = MonitoringRepository(records)
        self._thread = BoundedExecutor("incidents", 1)
        self._guard = GuardedCall("records", RecordsUnavailableError, _SECONDS)

    async def refresh(self) -> None:
        """Reads the number and sets the gauge; a database that is away changes nothing."""
        try:
            number = await self._guard.run(
                lambda: self._thread.run(self._repository.count_open, self._system)
            )
        except (RecordsUnavailableError, RecordsError):  # readiness says so
            return
        self._meter.set(self._gauge, float(number))

    def close(self) -> None:
        """Gives the connection back."""
        self._thread.close()
        self._repository.close()
