"""Simulate B2B accounts: `python -m jobs.churn.simulate --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import LocalOutput, make_output
from jobs.framework.progress import JobOptions
from lib.churn.simulation.accounts import SimulationConfig, draw_accounts, simulate_lifecycles
from lib.churn.simulation.tables import truth, write_tables
from lib.contract import write_parquet


@dataclass(frozen=True)
class Simulate(JobOptions):
    """Simulate B2B accounts, and write the tables that a company's systems would record."""

    output: LocalOutput
    """output folder for the eight tables, and for truth.parquet with the simulator's hidden
    values"""
    accounts: int = 1000
    """number of accounts"""
    days: int = 720
    """length of the simulated time, in days"""
    seed: int = 1
    """the same seed and options give the same files"""
    leave_a_year: float = 0.18
    """approximate share of accounts that give notice in a year, 0 to 1"""


def main(options: Simulate) -> int:
    """Write the files; returns how many accounts gave notice."""
    config = SimulationConfig(options.accounts, options.days, options.seed, options.leave_a_year)
    make_output(options.output)
    lives = simulate_lifecycles(config, draw_accounts(config))
    tables = {**write_tables(config, lives), "truth": truth(config, lives)}
    for name, table in tables.items():
        write_parquet(table, options.output / f"{name}.parquet")
        print(f"{name:12}{table.num_rows:>12,}  {options.output / f'{name}.parquet'}  (simulated)")
    left = int((lives.notice >= 0).sum())
    print(f"{left:,} of {options.accounts:,} accounts give notice in {options.days} days")
    return left


if __name__ == "__main__":
    run_job(Simulate, main)
