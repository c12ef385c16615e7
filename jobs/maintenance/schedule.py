"""Plan a week of maintenance: `python -m jobs.maintenance.schedule --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.tables import TableSources
from lib.maintenance.contracts import MACHINES


@dataclass(frozen=True)
class ScheduleConfig(TableSources):
    """Choose which machines are serviced in a week, and when.

    Reads the survival curves of jobs.maintenance.score and a YAML file with crews, work, costs and
    bounds (see jobs/maintenance/README.md), and writes plan.csv, plan.ics, plan.json, report.html
    and report.json.
    """

    contracts = (MACHINES,)

    scores: InputPath
    """folder or URI of scores, as written by jobs.maintenance.score"""
    week: InputPath
    """YAML file of the week"""
    output: OutputPath
    """output folder or URI"""
    machines: InputPath | None = None
    """machines with plant, line and criticality: Parquet or CSV file, folder or URI; without it all
    stand at one plant"""
    mapping_machines: InputPath | None = None
    """YAML mapping file of --machines; not needed if the columns have the names of the contract"""
    records: str | None = None
    """database to keep the schedule and its work orders in: sqlite:///path or postgresql+psycopg://
    """
    gap: float = 0.01
    """optimality gap at which the solver stops, as a share of the possible saving"""
    seconds: float = 60.0
    """time limit of the solver, in seconds; the best plan found by then is used"""
    threads: int = 2
    """number of threads of the solver"""
    compare: bool = True
    """compute the cost of simpler plans for comparison: no services, greedy, plain assignment"""


def main(config: ScheduleConfig) -> str:
    """Plan and write; returns the folder or URI of the plan."""
    from jobs.maintenance.scheduling import plan_week

    return plan_week(config)


if __name__ == "__main__":
    run_job(ScheduleConfig, main)
