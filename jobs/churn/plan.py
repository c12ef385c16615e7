"""Plan a day's interventions: `python -m jobs.churn.plan --help`."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalInput, OutputPath
from jobs.framework.progress import JobOptions
from jobs.ingestion import checked_mapping
from lib.churn.contracts import CHURN
from lib.churn.interventions import PLAYBOOKS_FILE
from lib.churn.interventions.daily import Economics


@dataclass(frozen=True, kw_only=True)
class PlanConfig(JobOptions):
    """Choose whom to look after today, and how, within hours and budget.

    Reads the scores of jobs.churn.score. What earlier plans logged keeps cool-downs, and with
    --churn tells what each playbook changed: the assumed effects are revised by it.
    """

    scores: InputPath
    """folder or URI, as written by jobs.churn.score"""
    output: OutputPath
    """folder or URI for plan/ (a file for each planned day), report.html and report.json; earlier
    plans in it are the history"""
    hours: float
    """hours of the team"""
    budget: float
    """currency units"""
    most: int | None = None
    """interventions at most"""
    playbooks: LocalInput = PLAYBOOKS_FILE
    """YAML of what can be done; default: the playbooks of the product"""
    economics: Economics = field(default_factory=Economics)
    """what a customer who stays is worth"""
    churn: InputPath | None = None
    """notices since earlier plans: Parquet or CSV file, folder or URI"""
    mapping_churn: InputPath | None = None
    """YAML that maps its columns; not needed where they are named as ours"""
    holdout_name: str = "churn"
    """names the experiment: another name draws another holdout"""
    currency: str = ""
    """of all amounts, for the report"""

    def check(self) -> None:
        """See `JobOptions`."""
        if self.churn is not None:
            checked_mapping(CHURN, self.mapping_churn, self.churn)


def main(config: PlanConfig) -> str:
    """Plan; returns the file or URI of the day's log."""
    from jobs.churn.planning import plan_interventions

    return plan_interventions(config)


if __name__ == "__main__":
    run_job(PlanConfig, main)
