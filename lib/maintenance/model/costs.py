"""The prices by which policies of maintenance are compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """What is assumed where policies are compared in money; see `replay`."""

    service: float = 1_500.0
    """a planned service with the production it takes, in the settlement currency"""
    failure: float = 40_000.0
    """a failure with the production it takes"""
    respond_hours: float = 24.0
    """from an alarm to the service that it calls for"""
    credit_hours: float = 336.0
    """how long a service keeps failures away; none is called for meanwhile"""
