"""What every system's HTTP face shares: keys, limits, request ids, deadlines, errors, logs."""

from serve.gateway.breaker import Breaker
from serve.gateway.call import Call
from serve.gateway.doors import Door, Limits
from serve.gateway.gateway import Gateway
from serve.gateway.log import JsonLog
from serve.gateway.meter import Instrument, Meter, PrometheusMeter, RayMeter
from serve.gateway.pages import new_app
from serve.gateway.parsing import parse_body
from serve.gateway.problem import FieldError, Problem, as_response
from serve.gateway.readiness import Part, Readiness
from serve.gateway.replicas import Replicas

__all__ = [
    "Breaker",
    "Call",
    "Door",
    "FieldError",
    "Gateway",
    "Instrument",
    "JsonLog",
    "Limits",
    "Meter",
    "Part",
    "Problem",
    "PrometheusMeter",
    "RayMeter",
    "Readiness",
    "Replicas",
    "as_response",
    "new_app",
    "parse_body",
]
