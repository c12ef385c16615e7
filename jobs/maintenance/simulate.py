"""Simulate a fleet's past: `python -m jobs.maintenance.simulate --help`."""

from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.framework.options import shared_options
from jobs.framework.paths import LocalOutput
from jobs.framework.progress import JobOptions, progress
from lib.contract import ContractError
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.files import TABLES, write_fleet
from lib.maintenance.simulation.fleet import Fleet, Passed
from lib.maintenance.simulation.policies import FixedInterval, Year, run_to_failure


@dataclass(frozen=True)
class Simulate(JobOptions):
    """Simulate a fleet of machines under a maintenance policy, and write its data."""

    output: LocalOutput
    """folder for telemetry/, machines, maintenance, failures, errors, truth and telemetry.yaml"""
    machines: int = 500
    """number of machines of the fleet"""
    plants: int = 20
    """number of plants that the machines stand in"""
    weeks: int = 52
    """length of the simulated time, in weeks"""
    seed: int = 1
    """the same seed and options give the same files"""
    policy: Literal["fixed_interval", "run_to_failure"] = "fixed_interval"
    """maintenance policy: services at fixed intervals, or none"""
    share_of_life: float = 0.69
    """age of a component at which the calendar replaces it, as a share of its mean life"""
    oldest_start: float = 0.55
    """largest age of a component at the start, as a share of its mean life (1: run to failure)"""
    sudden_per_year: float = 0.06
    """failures of a machine in a year that nothing announces"""
    gap_share: float = 0.02
    """share of hours without telemetry"""

    def config(self) -> FleetConfig:
        """The fleet's configuration."""
        return shared_options(FleetConfig, self)


def main(options: Simulate) -> None:
    """Write the files and say what they hold."""
    year = _simulated(options)
    for name, value in (
        ("machines", f"{options.machines:,}"),
        ("weeks", f"{year.weeks:,}"),
        ("failures", f"{year.failures.sum():,.0f}"),
        ("unplanned downtime, h", f"{year.unplanned_hours.sum():,.0f}"),
        ("services", f"{sum(event.planned for event in year.events):,}"),
        ("maintenance cost, USD", f"{year.maintenance_cost.sum():,.0f}"),
    ):
        print(f"{name:24}{value:>14}  (simulated)")
    print(options.output / "telemetry")
    for name in TABLES:
        print(options.output / f"{name}.parquet")
    print(options.output / "telemetry.yaml")


def _simulated(options: Simulate) -> Year:
    config = options.config()
    if not options.share_of_life > 0:
        raise ContractError(f"--share-of-life: expected above 0, came {options.share_of_life}")
    calendar = FixedInterval(
        config, [options.share_of_life * part.life_hours for part in config.components]
    )
    by_calendar = options.policy == "fixed_interval"
    with progress(options.weeks, "simulated", "weeks") as done:

        def note(fleet: Fleet, passed: Passed) -> None:
            if by_calendar:
                calendar.note(fleet, passed)
            done(1)

        policy = calendar if by_calendar else run_to_failure
        return write_fleet(config, policy, options.weeks, options.output, note)


if __name__ == "__main__":
    run_job(Simulate, main)
