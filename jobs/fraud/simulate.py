"""Simulate payments, labels and the truth: `python -m jobs.fraud.simulate --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import LocalOutput
from jobs.framework.progress import JobOptions
from lib.fraud.simulation import SimulationConfig, simulate


@dataclass(frozen=True, kw_only=True)
class Simulate(JobOptions, SimulationConfig):
    """Make a payment history with homes, journeys, devices and five kinds of fraud."""

    output: LocalOutput
    """folder for transactions.parquet, labels.parquet and truth.parquet"""
    seed: int = 7
    """the same seed and options give the same files"""


def main(options: Simulate) -> None:
    """Write the files and say what they hold."""
    simulated = simulate(options, options.seed)
    paths = simulated.write(options.output)
    print(f"{'simulated':24}{'payments':>12}{'share':>10}")
    print(f"{'all':24}{simulated.transactions.num_rows:>12,}{1:>10.3%}")
    for name, count, share in simulated.summary():
        print(f"{name:24}{count:>12,}{share:>10.3%}")
    print(f"{'labels':24}{simulated.labels.num_rows:>12,}")
    for path in paths:
        print(path)


if __name__ == "__main__":
    run_job(Simulate, main)
