"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from lib.moderation.post import MODALITIES

from ..gateway import Gateway, RayMeter
from ..gateway.interpreter import freeze_heap, prepare_interpreter
from .config import ModerationArgs
from .face import moderation_face
from .members import MembersElsewhere
from .numbers import INSTRUMENTS
from .service import ModerationService


@ingress()
class Front:
    """One replica: rules, fusion, routing, queue and records; the models too where colocated.

    Args:
        args: what the application was started with.
        members: the deployments of text, image and video; none: their models run here.
    """

    def __init__(self, args: ModerationArgs, *members: DeploymentHandle[Any]) -> None:
        prepare_interpreter()
        elsewhere = None
        if members:
            elsewhere = MembersElsewhere(dict(zip(MODALITIES, members, strict=True)))
        self._service = ModerationService(args, RayMeter(INSTRUMENTS), elsewhere)

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return moderation_face(self._service, names_request=False).prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `ModerationService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()
