"""Plan a day's interventions: `python -m jobs.churn.plan --help`."""

from dataclasses import dataclass, field

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalInput, OutputPath
from jobs.framework.tables import TableSources
from lib.churn.contracts import CHURN
from lib.churn.interventions.daily import Economics
from lib.churn.interventions.playbooks import PLAYBOOKS_FILE
from lib.records.database import require_database


@dataclass(frozen=True, kw_only=True)
class PlanConfig(TableSources):
    """Choose today's customers and their playbooks within hours and budget.

    Reads the scores of jobs.churn.score. The logs of earlier plans enforce the cool-downs; with
    --churn they also give the measured effect of each playbook, which revises the assumed one. With
    --records the plan obeys people as that of the service does: scores that they set count in place
    of the model's, and nobody is chosen while they have stopped all interventions.
    """

    contracts = (CHURN,)

    scores: InputPath
    """folder or URI, as written by jobs.churn.score"""
    output: OutputPath
    """output folder or URI for plan/ (a file for each planned day), report.html and report.json;
    earlier plans in it are the history of interventions"""
    hours: float
    """working time of the team, in hours"""
    budget: float
    """budget, in units of the settlement currency"""
    most: int | None = None
    """maximum number of interventions; default: no maximum"""
    playbooks: LocalInput = PLAYBOOKS_FILE
    """YAML file of the playbooks; default: the playbooks of the product"""
    economics: Economics = field(default_factory=Economics)
    """value of a retained customer"""
    churn: InputPath | None = None
    """notices of customers since earlier plans: Parquet or CSV file, folder or URI"""
    mapping_churn: InputPath | None = None
    """YAML mapping file of --churn; not needed if the columns have the names of the contract"""
    records: str | None = None
    """URL of the records database: scores that people set, and whether they stopped interventions;
    default: the plan knows of neither"""
    uplift: InputPath | None = None
    """folder or URI, as written by jobs.churn.score_uplift: effects by customer, of playbooks whose
    experiment tells customers apart; default: what the playbooks assume"""
    holdout_name: str = "churn"
    """name of the experiment; another name draws another control group"""
    currency: str = ""
    """name of the currency of all amounts, for the report"""

    def check(self) -> None:
        """See `JobOptions`.

        Raises:
            RecordsError: there is no such database.
        """
        super().check()
        if self.records is not None:
            require_database(self.records)


def main(config: PlanConfig) -> str:
    """Plan; returns the file or URI of the day's log."""
    from jobs.churn.planning import plan_interventions

    return plan_interventions(config)


if __name__ == "__main__":
    run_job(PlanConfig, main)
