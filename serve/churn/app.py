"""The churn application for Ray Serve: `serve run serve.churn.app:build ...`.

The application belongs under the route prefix `/churn`.
"""

from typing import Any

from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from ..framework import RayMetrics
from ..framework.deployment import new_deployment, new_front
from ..framework.offload import RemoteSolver, SolverDeployment
from ..framework.service import ServiceStart
from .metrics import INSTRUMENTS
from .planner import solve_plan
from .routes import build_gateway
from .service import ChurnService
from .settings import ChurnSettings


def build(args: ChurnSettings) -> Application:
    """Front node and planner, as two deployments or, colocated, as one.

    `user_config` of `Front` names model, rules and playbooks; see `ChurnUserConfig`. Serve reads
    the annotation of `args` to parse them, so this module must not postpone annotations.
    """
    if args.colocated:
        return new_front(args, new_service, build_gateway)
    planner = new_deployment(SolverDeployment, "Planner", args.planner, args)
    return new_front(args, new_service, build_gateway, planner.bind(solve_plan))


def new_service(args: ChurnSettings, planner: DeploymentHandle[Any] | None = None) -> ChurnService:
    """The front node's service; without a planner it solves plans itself."""
    solver = None if planner is None else RemoteSolver(planner)
    return ChurnService(ServiceStart(args, RayMetrics(INSTRUMENTS)), solver)
