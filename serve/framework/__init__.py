"""What every system's HTTP face shares: keys, limits, request ids, deadlines, errors, logs."""

from serve.framework.app_factory import Context, new_gateway
from serve.framework.asgi import RequestContext
from serve.framework.gateway import Gateway
from serve.framework.health import Health, HealthChecks
from serve.framework.json_log import JsonLog
from serve.framework.metrics import Metric, Metrics, RayMetrics
from serve.framework.problem import FieldError, Problem, as_response
from serve.framework.routes import RequestLimits, Route, Router
from serve.framework.settings import DeploymentSettings
from serve.framework.validation import parse_body

__all__ = [
    "Context",
    "DeploymentSettings",
    "FieldError",
    "Gateway",
    "Health",
    "HealthChecks",
    "JsonLog",
    "Metric",
    "Metrics",
    "Problem",
    "RayMetrics",
    "RequestContext",
    "RequestLimits",
    "Route",
    "Router",
    "as_response",
    "new_gateway",
    "parse_body",
]
