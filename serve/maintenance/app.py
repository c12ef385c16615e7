"""The maintenance application for Ray Serve: `serve run serve.maintenance.app:build ...`.

The application belongs under the route prefix `/maintenance`.
"""

from typing import Any

from ray.serve import Application

from ..framework.ingress import new_deployment
from .deployment import Ingress
from .planner import Planner
from .settings import MaintenanceSettings


def build(args: MaintenanceSettings) -> Application:
    """Front node and planner, as two deployments or, colocated, as one.

    A week takes the solver a core for seconds, so it is solved where no prediction waits.
    `user_config` of `Ingress` names the rules and the model; see `UserConfig`. Serve reads the
    annotation of `args` to parse them, so this module must not postpone annotations.
    """
    live: dict[str, Any] = {"model": args.model, "rules": args.rules}
    front = new_deployment(Ingress, "Front", args.front, args, live)
    if args.colocated:
        return front.bind(args)
    planner = new_deployment(Planner, "Planner", args.planner, args)
    return front.bind(args, planner.bind())
