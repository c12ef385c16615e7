"""Learn whom interventions change: `python -m jobs.churn.train_uplift --help`."""

from dataclasses import dataclass

from jobs.churn.experiment_source import ExperimentOptions
from jobs.framework.command import run_job
from jobs.framework.paths import OutputPath
from lib.contract import ContractError


@dataclass(frozen=True, kw_only=True)
class TrainUpliftConfig(ExperimentOptions):
    """Learn from a randomised experiment by how much each intervention changes the outcome of whom.

    The table has a row per customer: what chance gave it (`arm`), what came of it (`outcome`), and
    as attributes what was known before. Every customer is scored by models that did not see it;
    Qini and AUUC stand beside those of simpler ways, with intervals. Where an interval holds 0,
    nothing is claimed, and jobs.churn.plan keeps what its playbooks assume.
    """

    output: OutputPath
    """output folder or URI for the model, report.html, report.json and the rows set aside"""
    control: str = "control"
    """name of the arm that got nothing"""
    unwanted: bool = False
    """whether the outcome is to be prevented, as a notice; a visit or a purchase is wanted"""
    bootstrap: int = 300
    """number of bootstrap samples of customers for the confidence intervals"""
    source: str = ""
    """description of the data for the report; default: the path that it was read from"""
    seed: int = 7
    """seed of the random numbers; the same seed and data give the same model"""

    def check(self) -> None:
        """See `JobOptions`."""
        if self.bootstrap < 1:
            raise ContractError(f"--bootstrap: expected 1 or more, got {self.bootstrap}")
        super().check()


def main(config: TrainUpliftConfig) -> str:
    """Train and report; returns the folder or URI of the model."""
    from jobs.churn.uplift_training import train_uplift

    return train_uplift(config)


if __name__ == "__main__":
    run_job(TrainUpliftConfig, main)
