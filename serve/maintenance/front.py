"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from ..gateway import Gateway, RayMeter
from ..gateway.interpreter import freeze_heap, prepare_interpreter
from .config import MaintenanceArgs
from .face import maintenance_face
from .numbers import INSTRUMENTS
from .planner import PlannerElsewhere
from .service import MaintenanceService


@ingress()
class Front:
    """One replica: rules, machines, model and records; the planner too where it is colocated.

    Args:
        args: what the application was started with.
        planner: the planner's deployment; None solves weeks here.
    """

    def __init__(self, args: MaintenanceArgs, planner: DeploymentHandle[Any] | None = None) -> None:
        prepare_interpreter()
        elsewhere = None if planner is None else PlannerElsewhere(planner)
        self._service = MaintenanceService(args, RayMeter(INSTRUMENTS), elsewhere)

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return maintenance_face(self._service, names_request=False).prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `MaintenanceService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()
