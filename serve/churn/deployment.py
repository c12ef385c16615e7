"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from ..framework import RayMetrics
from ..framework.ingress import BaseIngress
from ..framework.offload import RemoteSolver
from .metrics import INSTRUMENTS
from .routes import build_gateway
from .service import ChurnService
from .settings import ChurnSettings


@ingress()
class Ingress(BaseIngress):
    """One replica: rules, profiles, model and records; the planner too where it is colocated.

    Args:
        args: what the application was started with.
        planner: the planner's deployment; None solves plans here.
    """

    def __init__(self, args: ChurnSettings, planner: DeploymentHandle[Any] | None = None) -> None:
        elsewhere = None if planner is None else RemoteSolver(planner)
        service = ChurnService(args, RayMetrics(INSTRUMENTS), elsewhere)
        super().__init__(service, build_gateway)
