"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from ..framework import RayMetrics
from ..framework.ingress import BaseIngress
from .metrics import INSTRUMENTS
from .model_deployment import RemoteModel
from .routes import build_gateway
from .service import FraudService
from .settings import FraudSettings


@ingress()
class Ingress(BaseIngress):
    """One replica: rules, features and records, and the model too where it is colocated.

    Args:
        args: what the application was started with.
        ensemble: the model's deployment; None keeps the model here.
    """

    def __init__(self, args: FraudSettings, ensemble: DeploymentHandle[Any] | None = None) -> None:
        remote_model = None
        if ensemble is not None:
            timeout = args.model_timeout_ms / 1000.0
            remote_model = RemoteModel(ensemble, timeout, args.ensemble.max_replicas)
        service = FraudService(args, RayMetrics(INSTRUMENTS), remote_model)
        super().__init__(service, build_gateway)
