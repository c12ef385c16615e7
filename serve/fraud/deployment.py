"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from ..framework import Gateway, RayMetrics
from ..framework.runtime_tuning import freeze_heap, tune_interpreter
from .metrics import INSTRUMENTS
from .model_deployment import RemoteModel
from .routes import build_gateway
from .service import FraudService
from .settings import FraudSettings


@ingress()
class Ingress:
    """One replica: rules, features and records, and the model too where it is colocated.

    Args:
        args: what the application was started with.
        ensemble: the model's deployment; None keeps the model here.
    """

    def __init__(self, args: FraudSettings, ensemble: DeploymentHandle[Any] | None = None) -> None:
        tune_interpreter()
        remote_model = None
        if ensemble is not None:
            timeout = args.model_timeout_ms / 1000.0
            remote_model = RemoteModel(ensemble, timeout, args.ensemble.max_replicas)
        self._service = FraudService(args, RayMetrics(INSTRUMENTS), remote_model)

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return build_gateway(self._service, names_request=False).prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `FraudService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()
