"""The maintenance application for Ray Serve: `serve run serve.maintenance.app:build ...`.

The application belongs under the route prefix `/maintenance`.
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
from .service import MaintenanceService
from .settings import MaintenanceSettings


def build(args: MaintenanceSettings) -> Application:
    """Front node and planner, as two deployments or, colocated, as one.

    A week takes the solver a core for seconds, so it is solved where no prediction waits.
    `user_config` of `Front` names the rules and the model; see `UserConfig`. Serve reads the
    annotation of `args` to parse them, so this module must not postpone annotations.
    """
    if args.colocated:
        return new_front(args, new_service, build_gateway)
    planner = new_deployment(SolverDeployment, "Planner", args.planner, args)
    return new_front(args, new_service, build_gateway, planner.bind(solve_plan))


def new_service(
    args: MaintenanceSettings, planner: DeploymentHandle[Any] | None = None
) -> MaintenanceService:
    """The front node's service; without a planner it solves plans itself."""
    solver = None if planner is None else RemoteSolver(planner)
    return MaintenanceService(ServiceStart(args, RayMetrics(INSTRUMENTS)), solver)
