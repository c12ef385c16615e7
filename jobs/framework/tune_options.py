"""The options that every search of settings has."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.framework.paths import OutputPath
from jobs.framework.progress import JobOptions


@dataclass(frozen=True, kw_only=True)
class TuneOptions(JobOptions):
    """A search, which the same command continues where it was cut off."""

    output: OutputPath
    """folder or URI for the search and best.yaml; on a cluster one that all machines reach"""
    trials: int = 20
    """settings tried"""
    concurrent: int = 2
    """trials that run at once"""
    cpus_per_trial: int = 1
    """cores of each trial"""
    seed: int = 7
    """of the draws"""

    @property
    def gpus(self) -> float:
        """GPUs of each trial."""
        return float(getattr(self, "gpus_per_trial", 0.0))
