"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from lib.moderation.post import MODALITIES

from ..framework import Gateway, RayMetrics
from ..framework.runtime_tuning import freeze_heap, tune_interpreter
from .metrics import INSTRUMENTS
from .modality_client import RemoteModalities
from .routes import build_gateway
from .service import ModerationService
from .settings import ModerationSettings


@ingress()
class Ingress:
    """One replica: rules, fusion, routing, queue and records; the models too where colocated.

    Args:
        args: what the application was started with.
        members: the deployments of text, image and video; none: their models run here.
    """

    def __init__(self, args: ModerationSettings, *members: DeploymentHandle[Any]) -> None:
        tune_interpreter()
        elsewhere = None
        if members:
            elsewhere = RemoteModalities(dict(zip(MODALITIES, members, strict=True)))
        self._service = ModerationService(args, RayMetrics(INSTRUMENTS), elsewhere)

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return build_gateway(self._service, names_request=False).prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `ModerationService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()
