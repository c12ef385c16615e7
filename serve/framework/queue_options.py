"""How much waits where, for every deployment of an application."""

from __future__ import annotations

from typing import Any

_QUEUE_FACTOR = 4


def queue_options(in_flight: int, retry_after_s: int, shutdown_s: float) -> dict[str, Any]:
    """Options of a deployment: the gateway refuses first, with a problem; Serve's queue is behind.

    Args:
        in_flight: requests at a time that the gateway admits.
        retry_after_s: seconds that a 503 asks to wait.
        shutdown_s: seconds to finish what was begun.
    """
    return {
        "max_ongoing_requests": 2 * in_flight,
        "max_queued_requests": _QUEUE_FACTOR * in_flight,
        "backpressure_config": {"status_code": 503, "retry_after_s": retry_after_s},
        # the gateway's own log has a line for each request
        "logging_config": {"enable_access_log": False},
        "graceful_shutdown_timeout_s": shutdown_s,
        "graceful_shutdown_wait_loop_s": 0.5,
        # of two replicas, one is replaced at a time: a start takes a core for some seconds
        "max_surge_percent": 50,
    }
