"""The churn application for Ray Serve: `serve run serve.churn.app:build ...`.

The application belongs under the route prefix `/churn`.
"""

from typing import Any

from ray.serve import Application, deployment

from ..gateway.flow import flow
from .config import ChurnArgs, ChurnLive
from .front import Front
from .planner import Planner


def build(args: ChurnArgs) -> Application:
    """Front node and planner, as two deployments or, colocated, as one.

    `user_config` of `Front` names model, rules and playbooks; see `ChurnLive`. Serve reads the
    annotation of `args` to parse them, so this module must not postpone annotations.
    """
    live: dict[str, Any] = {name: getattr(args, name) for name in ChurnLive.model_fields}
    shared = flow(args.in_flight, args.retry_after_s, args.shutdown_s)
    front = deployment(name="Front", user_config=live, **args.front.options(), **shared)(Front)
    if args.colocated:
        return front.bind(args)
    planner = deployment(name="Planner", **args.planner.options(), **shared)(Planner)
    return front.bind(args, planner.bind())
