"""The fraud application for Ray Serve: `serve run serve.fraud.app:build registry=... ...`.

RAY_SERVE_ENABLE_HA_PROXY=1 and RAY_SERVE_THROUGHPUT_OPTIMIZED=1 belong into the environment where
Serve starts: without both of them the same application is ten times slower. The application
belongs under the route prefix `/fraud`.
"""

from typing import Any

from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from ..framework import RayMetrics
from ..framework.deployment import new_deployment, new_front
from ..framework.service import ServiceStart
from .metrics import INSTRUMENTS
from .model import ModelDeployment, RemoteModel, served_features
from .routes import build_gateway
from .service import FraudService
from .settings import FraudSettings


def build(args: FraudSettings) -> Application:
    """Front node and ensemble, colocated as one deployment or composed of two.

    `user_config` of `Front` names the rules and, colocated, the model; composed, that of `Ensemble`
    names the model; see `UserConfig`. Serve reads the annotation of `args` to parse them, so this
    module must not postpone annotations.
    """
    if args.colocated:
        return new_front(args, new_service, build_gateway)
    model = {"model": args.model}
    ensemble = new_deployment(ModelDeployment, "Ensemble", args.ensemble, args, model)
    return new_front(args, new_service, build_gateway, ensemble.bind(args))


def new_service(args: FraudSettings, ensemble: DeploymentHandle[Any] | None = None) -> FraudService:
    """The front node's service; without an ensemble the model is in its process, too."""
    features, remote_model = served_features(args), None
    if ensemble is not None:
        timeout = args.model_timeout_ms / 1000.0
        digest = features.feature_set.digest
        remote_model = RemoteModel(ensemble, digest, timeout, args.ensemble.max_replicas)
    return FraudService(ServiceStart(args, RayMetrics(INSTRUMENTS)), features, remote_model)
