"""Learn from notices and interventions since: `python -m jobs.churn.retrain --help`."""

from dataclasses import dataclass
from typing import Any

from jobs.churn.feature_options import FeatureOptions
from jobs.churn.training_config import TrainConfig
from jobs.framework.command import run_job
from jobs.framework.retraining_options import RetrainingOptions
from lib.contract import ContractError


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(RetrainingOptions, TrainConfig):
    """Train a challenger on what became known since, and publish it if it is worth more.

    Give --records, --registry and --customers, and --churn and the other tables as far as there are
    any: notices of the records and of interventions are added. The newest --test-share of the
    snapshot times with known outcomes, as far as the champion did not see them, is kept from the
    challenger, and both choose whom to contact then. The challenger is published where the lower
    limit of its gain in money beats --margin and the AUC does not fall by more than
    --measure-margin. The report is OUTPUT/retraining/report.html. The same command continues where
    it was cut off, and ends with a message if nothing new is known.
    """

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_retraining()
        if self.learn_until is not None:
            raise ContractError("--learn-until: expected none: retraining chooses it")
        self.check_shares()
        FeatureOptions.check(self)


def main(config: RetrainConfig) -> dict[str, Any]:
    """Retrain and compare; returns what the records keep, with `decision` in words."""
    from jobs.churn.retraining import CustomerRetraining
    from jobs.framework.retraining import retrain

    return retrain(config, CustomerRetraining())


if __name__ == "__main__":
    run_job(RetrainConfig, main)
