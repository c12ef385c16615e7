"""The front node of every application under Ray Serve, and how deployments are made."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ray.serve import Application, Deployment, deployment, ingress

from serve.framework.gateway import Gateway
from serve.framework.model_slot import RestartRequiredError
from serve.framework.runtime_tuning import freeze_heap, tune_interpreter
from serve.framework.settings import DeploymentSettings, FrontSettings

_QUEUE_FACTOR = 4


class FrontService(Protocol):
    """What a front node runs."""

    @property
    def restart_reason(self) -> str:
        """Why only a start can make it whole; "" where it does not need one."""

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads, checks and swaps what `user_config` names; never raises."""


@ingress()
class Ingress:
    """One replica of a front node: a service behind its gateway.

    Args:
        new_service: the system's own, of `args` and `others`.
        build_gateway: the system's own; Ray Serve names requests itself.
        args: what the application was started with.
        others: handles of the deployments that the service asks; none: it does all itself.
    """

    def __init__(
        self,
        new_service: Callable[..., FrontService],
        build_gateway: Callable[..., Any],
        args: FrontSettings,
        *others: Any,
    ) -> None:
        tune_interpreter()
        self._service, self._build_gateway = new_service(args, *others), build_gateway

    def __serve_build_asgi_app__(self) -> Any:
        """What answers on the proxy's port and on the replica's own, an ASGI application."""
        gateway = self._build_gateway(self._service, names_request=False)
        return gateway.prepare_documentation() if isinstance(gateway, Gateway) else gateway

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `FrontService.reconfigure`."""
        await self._service.reconfigure(config)
        freeze_heap()

    def check_health(self) -> None:
        """Have Ray Serve start the replica again where its service needs it.

        A service whose registry did not answer when it started, or held no model, learns only by a
        start what the model that came since reads.

        Raises:
            RestartRequiredError: says why.
        """
        if reason := self._service.restart_reason:
            raise RestartRequiredError(reason)


def new_front(
    args: FrontSettings,
    new_service: Callable[..., FrontService],
    build_gateway: Callable[..., Any],
    *others: Application,
) -> Application:
    """The front node, with the deployments that it asks; see `Ingress`."""
    front = new_deployment(Ingress, "Front", args.front, args, args.live)
    return front.bind(new_service, build_gateway, args, *others)


def new_deployment(
    target: type,
    name: str,
    settings: DeploymentSettings,
    args: FrontSettings,
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
    live: dict[str, Any] = {} if user_config is None else {"user_config": user_config}
    return deployment(
        name=name,
        # the gateway refuses first, with a problem; Serve's queue is behind it
        max_ongoing_requests=2 * args.in_flight,
        max_queued_requests=_QUEUE_FACTOR * args.in_flight,
        backpressure_config={"status_code": 503, "retry_after_s": args.retry_after_s},
        # the gateway's own log has a line for each request; Serve makes its line even where it
        # keeps none, unless such lines are below its level
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        graceful_shutdown_timeout_s=args.shutdown_s,
        graceful_shutdown_wait_loop_s=0.5,
        # of two replicas, one is replaced at a time: a start takes a core for some seconds
        max_surge_percent=50,
        **settings.options(),
        **live,
    )(target)
