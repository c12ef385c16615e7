"""The options that every training has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.cluster.admission import Request
from jobs.framework.paths import OutputPath
from jobs.framework.progress import JobOptions


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(JobOptions):
    """A training, which the same command continues where it was cut off."""

    output: OutputPath
    """folder or URI (s3://, gs://, file://) for the model, report.html, report.json and
    intermediate results; on a cluster one that all machines reach"""
    overwrite: bool = False
    """compute the rows again even if OUTPUT holds those of the same files already"""
    source: str = ""
    """what the data is, in words, for the report; default: where it was read from"""
    registry: OutputPath | None = None
    """directory or URI of the model registry; without it the model is not published"""
    alias: Literal["champion", "challenger", "none"] = "challenger"
    """what the published version becomes"""
    engine: Literal["ray", "process"] = "ray"
    """ray: workers of Ray Train; process: all in this process"""
    num_workers: int = 2
    """processes that share every step; more than the cluster can ever hold is refused"""
    min_workers: int = 0
    """elastic: fewest that it goes on with while nodes are missing; 0 keeps the number fixed"""
    cpus_per_worker: int = 1
    """cores of each"""
    gpus_per_worker: float = -1.0
    """GPUs of each; -1 takes one where the cluster has or can start as many as workers"""
    seed: int = 7
    """of every random draw"""

    @property
    def request(self) -> Request:
        """The workers asked for."""
        return Request(
            self.num_workers, self.min_workers, self.cpus_per_worker, self.gpus_per_worker
        )
