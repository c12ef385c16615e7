"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from ..gateway import Gateway, RayMeter
from ..gateway.interpreter import freeze_heap, prepare_interpreter
from .config import ChurnArgs
from .face import churn_face
from .numbers import INSTRUMENTS
from .planner import PlannerElsewhere
from .service import ChurnService


@ingress()
class Front:
    """One replica: rules, profiles, model and records; the planner too where it is colocated.

    Args:
        args: what the application was started with.
        planner: the planner's deployment; None solves plans here.
    """

    def __init__(self, args: ChurnArgs, planner: DeploymentHandle[Any] | None = None) -> None:
        prepare_interpreter()
        elsewhere = None if planner is None else PlannerElsewhere(planner)
        self._service = ChurnService(args, RayMeter(INSTRUMENTS), elsewhere)

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return churn_face(self._service, names_request=False).prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `Application.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()
