"""The options that every search of settings has."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.framework.paths import OutputPath
from jobs.framework.progress import JobOptions


@dataclass(frozen=True, kw_only=True)
class TuneOptions(JobOptions):
    """A search, which the same command continues where it was cut off."""

    output: OutputPath
    """output folder or URI for the trials and best.yaml; on a cluster one that all nodes can
    access"""
    trials: int = 20
    """number of trials: combinations of settings to try"""
    concurrent: int = 2
    """number of trials that run in parallel"""
    cpus_per_trial: int = 1
    """CPU cores of each trial"""
    seed: int = 7
    """seed of the random numbers that choose the settings"""

    @property
    def gpus(self) -> float:
        """GPUs of each trial."""
        return float(getattr(self, "gpus_per_trial", 0.0))
