"""Simulate payments, labels and the truth: `python -m jobs.fraud.simulate --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.options import shared_options
from jobs.framework.paths import LocalOutput
from jobs.framework.progress import JobOptions
from lib.contract import ContractError, utc_us
from lib.fraud.simulation import SimulationConfig, simulate


@dataclass(frozen=True)
class Simulate(JobOptions):
    """Make a payment history with homes, journeys, devices and five kinds of fraud."""

    output: LocalOutput
    """folder for transactions.parquet, labels.parquet and truth.parquet"""
    users: int = 2_000
    """number of customers"""
    days: int = 60
    """length of the history in days"""
    seed: int = 7
    """the same seed and options give the same files"""
    start: str = "2025-01-01"
    """first day, YYYY-MM-DD, midnight UTC"""
    payments_per_day: float = 1.6
    """mean payments of a customer in a day"""
    fraud_share: float = 0.008
    """aimed share of fraudulent payments, refused attempts included"""
    retry_share: float = 0.0
    """share of payments sent twice under one transaction_id"""
    late_share: float = 0.0
    """share of payments that arrive minutes to a day late"""
    malformed_share: float = 0.0
    """share of additional invalid rows, which ingestion quarantines"""

    def config(self) -> SimulationConfig:
        """The simulator's configuration."""
        return shared_options(SimulationConfig, self, start_us=_day_us(self.start))


def main(options: Simulate) -> None:
    """Write the files and say what they hold."""
    simulated = simulate(options.config(), options.seed)
    paths = simulated.write(options.output)
    print(f"{'simulated':24}{'payments':>12}{'share':>10}")
    print(f"{'all':24}{simulated.transactions.num_rows:>12,}{1:>10.3%}")
    for name, count, share in simulated.summary():
        print(f"{name:24}{count:>12,}{share:>10.3%}")
    print(f"{'labels':24}{simulated.labels.num_rows:>12,}")
    for path in paths:
        print(path)


def _day_us(text: str) -> int:
    try:
        year, month, day = (int(part) for part in text.split("-"))
        return utc_us(year, month, day)
    except ValueError as error:
        raise ContractError(f"--start: expected a day as 2025-01-31, came '{text}'") from error


if __name__ == "__main__":
    run_job(Simulate, main)
