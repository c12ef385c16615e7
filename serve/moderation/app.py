"""The moderation application for Ray Serve: `serve run serve.moderation.app:build ...`.

The application belongs under the route prefix `/moderation`.
"""

from typing import Any

from ray.serve import Application

from lib.moderation.post import MODALITIES

from ..framework.ingress import new_deployment
from .deployment import Ingress
from .model_deployment import ModalityDeployment
from .settings import ModerationSettings, ModerationUserConfig


def build(args: ModerationSettings) -> Application:
    """Front node, and a deployment for each of text, image and video; or, colocated, all in one.

    `user_config` of `Ingress` names model, rules, policies and lists; see `ModerationUserConfig`.
    That of the others names the model to have ready; which one answers is the front node's choice.
    Serve reads the annotation of `args` to parse them, so this module must not postpone
    annotations.
    """
    live: dict[str, Any] = {name: getattr(args, name) for name in ModerationUserConfig.model_fields}
    front = new_deployment(Ingress, "Front", args.front, args, live)
    if args.colocated:
        return front.bind(args)
    model = {"model": args.model}
    members = [
        new_deployment(
            ModalityDeployment, name.capitalize(), getattr(args, name), args, model
        ).bind(name, args)
        for name in MODALITIES
    ]
    return front.bind(args, *members)
