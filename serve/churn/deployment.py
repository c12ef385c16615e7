"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from ..framework import Gateway, RayMetrics
from ..framework.runtime_tuning import freeze_heap, tune_interpreter
from .metrics import INSTRUMENTS
from .planner import PlannerElsewhere
from .routes import build_gateway
from .service import ChurnService
from .settings import ChurnSettings


@ingress()
class Ingress:
    """One replica: rules, profiles, model and records; the planner too where it is colocated.

    Args:
        args: what the application was started with.
        planner: the planner's deployment; None solves plans here.
    """

    def __init__(self, args: ChurnSettings, planner: DeploymentHandle[Any] | None = None) -> None:
        tune_interpreter()
        elsewhere = None if planner is None else PlannerElsewhere(planner)
        self._service = ChurnService(args, RayMetrics(INSTRUMENTS), elsewhere)

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return build_gateway(self._service, names_request=False).prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `RiskService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()
