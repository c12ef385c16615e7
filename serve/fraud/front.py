"""The front node as a Ray Serve deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import ingress
from ray.serve.handle import DeploymentHandle

from ..gateway import Gateway, RayMeter
from ..gateway.interpreter import freeze_heap, prepare_interpreter
from .config import FraudArgs
from .ensemble import EnsembleElsewhere
from .face import fraud_face
from .numbers import INSTRUMENTS
from .service import FraudService


@ingress()
class Front:
    """One replica: rules, features and records, and the model too where it is colocated.

    Args:
        args: what the application was started with.
        ensemble: the model's deployment; None keeps the model here.
    """

    def __init__(self, args: FraudArgs, ensemble: DeploymentHandle[Any] | None = None) -> None:
        prepare_interpreter()
        elsewhere = None
        if ensemble is not None:
            timeout = args.model_timeout_ms / 1000.0
            elsewhere = EnsembleElsewhere(ensemble, timeout, args.ensemble.most)
        self._service = FraudService(args, RayMeter(INSTRUMENTS), elsewhere)

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return fraud_face(self._service, names_request=False).prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `FraudService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()
