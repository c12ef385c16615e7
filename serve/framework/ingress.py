"""What every front node is under Ray Serve, and how a deployment is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.serve import Deployment, deployment

from serve.framework.deployment import DeploymentSettings
from serve.framework.gateway import Gateway
from serve.framework.queue_options import queue_options
from serve.framework.runtime_tuning import freeze_heap, tune_interpreter
from serve.framework.service import RiskService
from serve.framework.settings import ServiceSettings


class BaseIngress:
    """One replica: a service behind its gateway. A system says of what both are made.

    Args:
        args: what the application was started with.
        handles: other deployments of the application; none where all is colocated.
    """

    def __init__(self, args: Any, *handles: Any) -> None:
        tune_interpreter()
        self._service = self.build_service(args, *handles)

    def build_service(self, args: Any, *handles: Any) -> RiskService:
        """The service."""
        raise NotImplementedError

    def build_gateway(self) -> Gateway:
        """The gateway of the service; Ray Serve names requests itself."""
        raise NotImplementedError

    def __serve_build_asgi_app__(self) -> Gateway:
        """What answers on the proxy's port and on the replica's own."""
        return self.build_gateway().prepare_documentation()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `RiskService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()


def new_deployment(
    target: type,
    name: str,
    settings: DeploymentSettings,
    args: ServiceSettings,
    user_config: Mapping[str, Any] | None = None,
) -> Deployment:
    """A deployment of an application.

    Args:
        target: class of its replicas.
        name: as Ray Serve shows it.
        settings: how many replicas, and what each reserves.
        args: what the application was started with.
        user_config: what Ray Serve may change while it runs.
    """
    options = settings.options() | queue_options(args.in_flight, args.retry_after_s, args.shutdown_s)
    if user_config is not None:
        options["user_config"] = user_config
    return deployment(name=name, **options)(target)
