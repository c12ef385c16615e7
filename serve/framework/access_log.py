"""One line and one count for each request, of every application."""

import itertools
import time

from serve.framework.asgi import RequestContext
from serve.framework.json_log import JsonLog
from serve.framework.metrics import REQUEST_MS, REQUESTS, Metrics
from serve.framework.problem import fault_fields

TIMED_ONE_IN = 8
_MILLISECONDS = 1000.0


class AccessLog:
    """Writes down what was answered.

    Args:
        log: one line per request.
        metrics: counts answers.
    """

    def __init__(self, log: JsonLog, metrics: Metrics) -> None:
        self._log, self._metrics = log, metrics
        self._turns = itertools.cycle(range(TIMED_ONE_IN))

    def request(self, route: str, method: str, status: int, context: RequestContext) -> None:
        """Counts an answer and adds its line."""
        elapsed_ms = (time.perf_counter() - context.started) * _MILLISECONDS
        self._metrics.count(REQUESTS.name, route, str(status))
        if next(self._turns) == 0:  # a histogram's price is that of ten counts
            self._metrics.observe(REQUEST_MS.name, elapsed_ms, route)
        self._log.write(
            "request",
            request_id=context.request_id,
            method=method,
            route=route,
            status=status,
            ms=round(elapsed_ms, 3),
            key_id=context.key_id,
            **context.log_fields,
        )

    def fault(self, error: Exception, context: RequestContext) -> None:
        """Adds a line for an error that no answer was meant for."""
        # the type and place only: a message may quote what a person sent
        fields = fault_fields(error) | {"error": type(error).__name__}
        self._log.write("fault", "error", request_id=context.request_id, **fields)
