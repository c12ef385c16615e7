"""Options of benchmarks whose phases take turns, so that what else the machine does meets all."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phases:
    """How long each phase lasts, and how often they take turns."""

    seconds: float = 10.0
    """Of each phase at a steady rate."""
    rounds: int = 3
    """Times that the phases follow each other."""
