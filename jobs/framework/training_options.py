"""The options that every training, and every search of settings, has."""

from dataclasses import dataclass
from typing import Literal, Self

from jobs.cluster.admission import Request
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.progress import JobOptions


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(JobOptions):
    """A training, which the same command continues where it was cut off."""

    output: OutputPath
    """output folder or URI (s3://, gs://, file://) for the model, report.html, report.json and
    intermediate results; on a cluster one that all nodes can access"""
    overwrite: bool = False
    """compute the rows again even if OUTPUT already holds the rows of the same files"""
    source: str = ""
    """description of the data for the report; default: the paths that it was read from"""
    registry: OutputPath | None = None
    """directory or URI of the model registry; without it the model is not published"""
    alias: Literal["champion", "challenger", "none"] = "challenger"
    """alias that the published version gets"""
    engine: Literal["ray", "process"] = "ray"
    """ray: workers of Ray Train; process: all in this process"""
    num_workers: int = 2
    """number of worker processes that train in parallel; more than the cluster can ever run are
    refused"""
    min_workers: int = 0
    """minimum number of worker processes with which elastic training continues while nodes are
    missing; 0 keeps the number fixed"""
    cpus_per_worker: int = 1
    """CPU cores of each worker process"""
    gpus_per_worker: float = -1.0
    """GPUs of each worker process; -1 takes one GPU each if the cluster has, or can start, one for
    every worker, otherwise none"""
    seed: int = 7
    """seed of the random numbers; the same seed and data give the same model"""

    def settled(self) -> Self:
        """The options that others of them, such as `quick`, stand for."""
        return self

    @property
    def request(self) -> Request:
        """The workers asked for."""
        return Request(
            self.num_workers, self.min_workers, self.cpus_per_worker, self.gpus_per_worker
        )


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
        return 0.0


@dataclass(frozen=True, kw_only=True)
class NetworkTuneOptions(TuneOptions):
    """A search of the settings of a network, on rows that were computed before."""

    features: InputPath
    """folder or URI of rows, as written by the features job of the same system"""
    gpus_per_trial: float = 0.0
    """GPUs of each trial"""
    epochs: int = 25
    """maximum number of epochs of a trial"""

    @property
    def gpus(self) -> float:
        """See `TuneOptions`."""
        return self.gpus_per_trial
