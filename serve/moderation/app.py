"""The moderation application for Ray Serve: `serve run serve.moderation.app:build ...`.

The application belongs under the route prefix `/moderation`.
"""

from typing import Any

from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from lib.moderation.post import MODALITIES

from ..framework import RayMetrics
from ..framework.deployment import new_deployment, new_front
from ..framework.service import ServiceStart
from .metrics import INSTRUMENTS
from .model import RemoteModalities
from .model_deployment import ModalityDeployment
from .routes import build_gateway
from .service import ModerationService
from .settings import ModerationSettings


def build(args: ModerationSettings) -> Application:
    """Front node, and a deployment for each of text, image and video; or, colocated, all in one.

    `user_config` of `Front` names model, rules, policies and lists; see `ModerationUserConfig`.
    That of the others names the model to have ready; which one answers is the front node's choice.
    Serve reads the annotation of `args` to parse them, so this module must not postpone
    annotations.
    """
    if args.colocated:
        return new_front(args, new_service, build_gateway)
    model = {"model": args.model}
    members = [
        new_deployment(
            ModalityDeployment, name.capitalize(), getattr(args, name), args, model
        ).bind(name, args)
        for name in MODALITIES
    ]
    return new_front(args, new_service, build_gateway, *members)


def new_service(args: ModerationSettings, *members: DeploymentHandle[Any]) -> ModerationService:
    """The front node's service; without deployments of the models they run in its process."""
    modalities = None
    if members:
        modalities = RemoteModalities(dict(zip(MODALITIES, members, strict=True)))
    return ModerationService(ServiceStart(args, RayMetrics(INSTRUMENTS)), modalities)
