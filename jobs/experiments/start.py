"""Start an experiment: `python -m jobs.experiments.start --system fraud --name NAME ...`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from jobs.experiments.options import SystemOptions
from jobs.framework.command import run_job
from jobs.framework.decision_source import window_time
from jobs.framework.paths import InputPath
from lib.declaration import check_declaration
from lib.experiment.declaration import Experiment, Guardrails
from lib.experiment.errors import ExperimentError
from lib.registry import Registry
from lib.registry.names import to_iso

_USUAL = Guardrails()


@dataclass(frozen=True, kw_only=True)
class StartConfig(SystemOptions):
    """Start an experiment between two published models; services follow within seconds.

    Aliases become versions now, so that an alias that moves later changes no experiment.
    """

    registry: InputPath
    """local directory or URI (file, s3, gs, ...) of the registry"""
    name: str
    """lower-case letters, digits, _ and -; never used twice in a system"""
    champion: str = "champion"
    """alias or version of the model that decides now"""
    challenger: str = "challenger"
    """alias or version of the model that is compared with it"""
    mode: Literal["shadow", "ab"] = "shadow"
    """shadow: the challenger scores and decides nothing; ab: it decides for its share"""
    share: float | None = None
    """of entities: in ab mode those that the challenger decides for, between 0 and 1; in shadow
    mode those that it scores; default: all in shadow mode"""
    until: str | None = None
    """end: a date (UTC) or a time in ISO 8601 with offset; without one the experiment is judged by
    an always-valid confidence sequence"""
    smallest_gain: float | None = None
    """money a week worth having, currency units; what cannot show it any more is called futile"""
    alpha: float = 0.05
    """probability of a wrong conclusion, on either side, over all looks together"""
    timeout_ms: float = 100.0
    """time that the challenger has in ab mode before the champion decides instead"""
    p99_ms: float | None = _USUAL.p99_ms
    """guardrail: 99th percentile of the challenger's time to a score, milliseconds"""
    fault_share: float | None = _USUAL.fault_share
    """guardrail: share of the challenger's calls without a usable score"""
    blocked_increase: float | None = _USUAL.blocked_increase
    """guardrail: share blocked, removed or stopped beyond the champion's"""
    reviewed_increase: float | None = _USUAL.reviewed_increase
    """guardrail: share sent to people beyond the champion's"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.experiment().require_future(time.time_ns() // 1000)
        super().check()

    def experiment(self) -> Experiment:
        """What is declared.

        Raises:
            ExperimentError: a field cannot be meant.
        """
        if self.share is None and self.mode == "ab":
            raise ExperimentError("--share: expected a share between 0 and 1 in ab mode")
        guardrails = {name: getattr(self, name) for name in _GUARDRAILS}
        content = {name: getattr(self, name) for name in _PLAIN}
        until = None if self.until is None else window_time("--until", self.until)
        content |= {"until": until, "guardrails": guardrails}
        content["share"] = 1.0 if self.share is None else self.share
        return check_declaration(content, Experiment, "experiment", ExperimentError)


_GUARDRAILS = ("p99_ms", "fault_share", "blocked_increase", "reviewed_increase")
_PLAIN = (
    *("name", "system", "champion", "challenger", "mode"),
    *("smallest_gain", "alpha", "timeout_ms"),
)


def main(config: StartConfig, now: int) -> str:
    """Start it, and say what runs.

    Args:
        config: options.
        now: microseconds since 1970 UTC.

    Raises:
        ExperimentError: it cannot run; nothing is written.
    """
    registry = Registry(config.registry)
    experiment = config.experiment().with_versions(registry.aliases(config.system))
    for role in ("champion", "challenger"):
        registry.resolve(config.system, getattr(experiment, role))
    with config.repository() as repository:
        repository.migrate()
        started = repository.start(experiment, by=config.by, at=now)
    end = (
        "without an end" if experiment.until is None else f"until {to_iso(experiment.until)[:19]}Z"
    )
    return "\n".join(
        [
            f"experiment  {started.id} runs since {to_iso(now)[:19]}Z, {end}",
            f"champion    {experiment.champion}",
            f"challenger  {experiment.challenger}, {experiment.mode} mode, share "
            f"{started.share:g} by {experiment.entity_name}",
            "services follow within seconds; look at it with jobs.experiments.judge",
        ]
    )


if __name__ == "__main__":
    run_job(StartConfig, lambda config: print(main(config, time.time_ns() // 1000)))
