"""The fraud application for Ray Serve: `serve run serve.fraud.app:build registry=... ...`.

RAY_SERVE_ENABLE_HA_PROXY=1 and RAY_SERVE_THROUGHPUT_OPTIMIZED=1 belong into the environment where
Serve starts: without both of them the same application is ten times slower. The application
belongs under the route prefix `/fraud`.
"""

from typing import Any

from ray.serve import Application

from ..framework.ingress import new_deployment
from .deployment import Ingress
from .model_deployment import ModelDeployment
from .settings import FraudSettings


def build(args: FraudSettings) -> Application:
    """Front node and ensemble, as two deployments or, colocated, as one.

    `user_config` of `Ingress` names the rules (and, colocated, the model), that of
    `ModelDeployment` the model; see `UserConfig`. Serve reads the annotation of `args` to parse
    them, so this module must not postpone annotations.
    """
    live: dict[str, Any] = {"model": args.model, "rules": args.rules}
    front = new_deployment(Ingress, "Front", args.front, args, live)
    if args.colocated:
        return front.bind(args)
    model = {"model": args.model}
    ensemble = new_deployment(ModelDeployment, "Ensemble", args.ensemble, args, model)
    return front.bind(args, ensemble.bind(args))
