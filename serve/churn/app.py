"""The churn application for Ray Serve: `serve run serve.churn.app:build ...`.

The application belongs under the route prefix `/churn`.
"""

from typing import Any

from ray.serve import Application, deployment

from ..framework.queue_options import queue_options
from .deployment import Ingress
from .planner import Planner
from .settings import ChurnSettings, ChurnUserConfig


def build(args: ChurnSettings) -> Application:
    """Front node and planner, as two deployments or, colocated, as one.

    `user_config` of `Ingress` names model, rules and playbooks; see `ChurnUserConfig`. Serve reads
    the annotation of `args` to parse them, so this module must not postpone annotations.
    """
    live: dict[str, Any] = {name: getattr(args, name) for name in ChurnUserConfig.model_fields}
    shared = queue_options(args.in_flight, args.retry_after_s, args.shutdown_s)
    front = deployment(name="Front", user_config=live, **args.front.options(), **shared)(Ingress)
    if args.colocated:
        return front.bind(args)
    planner = deployment(name="Planner", **args.planner.options(), **shared)(Planner)
    return front.bind(args, planner.bind())
