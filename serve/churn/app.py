"""The churn application for Ray Serve: `serve run serve.churn.app:build ...`.

The application belongs under the route prefix `/churn`.
"""

from typing import Any

from ray.serve import Application

from ..framework.ingress import new_deployment
from .deployment import Ingress
from .planner import Planner
from .settings import ChurnSettings, ChurnUserConfig


def build(args: ChurnSettings) -> Application:
    """Front node and planner, as two deployments or, colocated, as one.

    `user_config` of `Ingress` names model, rules and playbooks; see `ChurnUserConfig`. Serve reads
    the annotation of `args` to parse them, so this module must not postpone annotations.
    """
    live: dict[str, Any] = {name: getattr(args, name) for name in ChurnUserConfig.model_fields}
    front = new_deployment(Ingress, "Front", args.front, args, live)
    if args.colocated:
        return front.bind(args)
    planner = new_deployment(Planner, "Planner", args.planner, args)
    return front.bind(args, planner.bind())
