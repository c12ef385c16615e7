"""What was only noted of requests goes on: counts to their exporter, lines into the log."""

from lib.concurrency.bounded_executor import BoundedExecutor
from serve.framework.json_log import JsonLog
from serve.framework.metrics import Metrics

FLUSH_SECONDS = 0.25
"""Between two times."""


class Flusher:
    """Hands on counts, and writes the log in a thread of its own, where no request waits for it.

    Args:
        meter: counts.
        log: lines of the application.
    """

    def __init__(self, meter: Metrics, log: JsonLog) -> None:
        self._meter, self._log = meter, log
        self._threads = BoundedExecutor("logging", 1)

    async def flush(self) -> None:
        """Hands on and writes; the log is written where counts cannot be handed on, too."""
        try:
            self._meter.flush()
        finally:
            await self._threads.run(self._log.flush)

    def close(self) -> None:
        """Ends the thread, then hands on and writes what is left."""
        self._threads.close()
        try:
            self._meter.flush()
        finally:
            self._log.close()
