"""Learn from labels since: `python -m jobs.fraud.retrain --help`."""

from dataclasses import dataclass
from typing import Any

from jobs.framework.command import run_job
from jobs.framework.retraining_options import RetrainingOptions
from jobs.fraud.training_config import TrainConfig
from lib.contract import ContractError


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(RetrainingOptions, TrainConfig):
    """Train a challenger on what became known since, and publish it if it is worth more.

    Give --records, --registry and --transactions; --labels for labels from elsewhere: those of the
    records are added. Features are computed from the payments again, as labels of the past are part
    of them. Challenger and champion decide the same payments of the test slice, which the training
    leaves out, as far as the champion did not see them. The challenger is published where the lower
    limit of its gain in money beats --margin and average precision does not fall by more than
    --measure-margin. The report is OUTPUT/retraining/report.html. The same command continues where
    it was cut off, and ends with a message if nothing new is known.
    """

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_retraining()
        if self.transactions is None:
            raise ContractError(
                "--transactions is missing: the features of the past are computed from payments"
            )
        self.check_mappings()


def main(config: RetrainConfig) -> dict[str, Any]:
    """Retrain and compare; returns what the records keep, with `decision` in words."""
    from jobs.framework.retraining import retrain
    from jobs.fraud.retraining import FraudRetraining

    return retrain(config, FraudRetraining())


if __name__ == "__main__":
    run_job(RetrainConfig, main)
