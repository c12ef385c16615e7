"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from lib.moderation.post import MODALITIES

from ..framework import RayMetrics
from ..framework.ingress import BaseIngress
from .metrics import INSTRUMENTS
from .model import RemoteModalities
from .routes import build_gateway
from .service import ModerationService
from .settings import ModerationSettings


@ingress()
class Ingress(BaseIngress):
    """One replica: rules, fusion, routing, queue and records; the models too where colocated.

    Args:
        args: what the application was started with.
        members: the deployments of text, image and video; none: their models run here.
    """

    def __init__(self, args: ModerationSettings, *members: DeploymentHandle[Any]) -> None:
        elsewhere = None
        if members:
            elsewhere = RemoteModalities(dict(zip(MODALITIES, members, strict=True)))
        service = ModerationService(args, RayMetrics(INSTRUMENTS), elsewhere)
        super().__init__(service, build_gateway)
