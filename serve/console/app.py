"""The console for Ray Serve: `serve run serve.console.app:build ...`.

The application belongs under the route prefix `/console`.
"""

from ray.serve import Application

from ..framework import RayMetrics
from ..framework.deployment import new_front
from ..framework.runtime_tuning import yield_to_decisions
from .metrics import INSTRUMENTS
from .routes import build_gateway
from .service import ConsoleService
from .settings import ConsoleSettings


def build(args: ConsoleSettings) -> Application:
    """The front node alone. Serve reads the annotation of `args`; it must not be postponed."""
    return new_front(args, new_service, build_gateway)


def new_service(args: ConsoleSettings) -> ConsoleService:
    """The front node's service, in a process that decisions go before."""
    yield_to_decisions()
    return ConsoleService(args, RayMetrics(INSTRUMENTS))
