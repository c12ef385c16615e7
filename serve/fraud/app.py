"""The fraud application for Ray Serve: `serve run serve.fraud.app:build registry=... ...`.

RAY_SERVE_ENABLE_HA_PROXY=1 and RAY_SERVE_THROUGHPUT_OPTIMIZED=1 belong into the environment where
Serve starts: without both of them the same application is ten times slower. The application
belongs under the route prefix `/fraud`.
"""

from typing import Any

from ray.serve import Application, deployment

from .config import FraudArgs
from .ensemble import Ensemble
from .front import Front

_QUEUE_FACTOR = 4


def build(args: FraudArgs) -> Application:
    """Front node and ensemble, as two deployments or, colocated, as one.

    `user_config` of `Front` names the rules (and, colocated, the model), that of `Ensemble` the
    model; see `Live`. Serve reads the annotation of `args` to parse them, so this module must not
    postpone annotations.
    """
    live: dict[str, Any] = {"model": args.model, "rules": args.rules}
    front = deployment(
        name="Front",
        user_config=live,
        **args.front.options(),
        **_flow(args),
    )(Front)
    if args.colocated:
        return front.bind(args)
    ensemble = deployment(
        name="Ensemble",
        user_config={"model": args.model},
        **args.ensemble.options(),
        **_flow(args),
    )(Ensemble)
    return front.bind(args, ensemble.bind(args))


def _flow(args: FraudArgs) -> dict[str, Any]:
    """How much waits where: the gateway refuses first, with a problem; Serve's queue is behind."""
    return {
        "max_ongoing_requests": 2 * args.in_flight,
        "max_queued_requests": _QUEUE_FACTOR * args.in_flight,
        "backpressure_config": {"status_code": 503, "retry_after_s": args.retry_after_s},
        # the gateway's own log has a line for each request
        "logging_config": {"enable_access_log": False},
        "graceful_shutdown_timeout_s": args.shutdown_s,
        "graceful_shutdown_wait_loop_s": 0.5,
        # of two replicas, one is replaced at a time: a start takes a core for some seconds
        "max_surge_percent": 50,
    }
