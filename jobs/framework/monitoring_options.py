"""The options that every system's monitoring has, and the job that they make."""

from dataclasses import dataclass
from typing import Literal

from jobs.framework.decision_source import DecisionOptions
from jobs.framework.paths import InputPath, LocalInput, LocalOutput, OutputPath
from lib.contract import ContractError
from lib.monitoring import ErrorBudget
from lib.monitoring.watched_system import WatchedSystem
from lib.records.systems import SYSTEMS


@dataclass(frozen=True, kw_only=True)
class MonitorOptions(DecisionOptions):
    """Options of every system's monitoring."""

    output: OutputPath
    """output folder or URI for report.html and report.json"""
    registry: InputPath | None = None
    """directory or URI of the model registry, whose models remember what they were trained on;
    without it and --model only decisions, rules and labels are followed"""
    model: InputPath | None = None
    """folder or URI of a model in place of --registry: that of all decisions"""
    metrics: LocalOutput | None = None
    """file of figures for the textfile collector of Prometheus' node_exporter, e.g.
    /var/lib/node_exporter/forewarn_fraud.prom"""
    access_log: tuple[LocalInput, ...] = ()
    """access logs of the service (JSON lines), for refused requests by route and field"""
    quarantine: tuple[InputPath, ...] = ()
    """folders or URIs named quarantine in the output of jobs that read tables (features, score),
    for rows that were set aside, on the day on which they were read"""
    rows: int = 100_000
    """most decisions whose outcomes are followed one by one; where there are more, whole entities
    are drawn"""
    false_incidents: float = 1.0
    """false incidents in 90 days that are accepted, over all systems together"""
    systems: int = len(SYSTEMS)
    """systems of the installation that share them"""
    pictures: bool = True
    """draw the plots of report.html; a run without them takes half of the time"""
    engine: Literal["ray", "process"] = "ray"
    """ray: decisions are counted in tasks of Ray; process: in this process, enough for some
    hundred thousand"""

    def check(self) -> None:
        """See `JobOptions`.

        Raises:
            ContractError: an option cannot be meant.
        """
        if self.registry is not None and self.model is not None:
            raise ContractError("expected --registry or --model, got both")
        if self.rows < 1_000:
            raise ContractError(f"--rows: expected 1,000 or more, got {self.rows:,}")
        if self.metrics is not None and self.metrics.suffix != ".prom":
            raise ContractError(
                f"--metrics: expected a file that ends in .prom, got {self.metrics}"
            )
        self.budget()
        super().check()

    def budget(self) -> ErrorBudget:
        """How many false incidents are accepted.

        Raises:
            ValueError: it is not above 0.
        """
        if self.false_incidents <= 0 or self.systems < 1:
            raise ContractError("--false-incidents, --systems: expected above 0")
        return ErrorBudget(false_incidents=self.false_incidents, systems=self.systems)

    def watched(self) -> WatchedSystem:
        """The system and what is followed of it."""
        raise NotImplementedError


def main(options: MonitorOptions, now: int | None = None) -> None:
    """Monitor.

    Args:
        options: of the job.
        now: microseconds since 1970 UTC, up to which labels count; None: the present.
    """
    from jobs.framework.monitoring import monitor

    monitor(options, now)
