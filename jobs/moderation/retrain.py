"""Learn from what people decided since: `python -m jobs.moderation.retrain --help`."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.retraining_options import RetrainingOptions
from jobs.moderation.training_config import TrainConfig
from lib.contract import ContractError


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(RetrainingOptions, TrainConfig):
    """Train a challenger on the archive with reviewers' labels, and publish it if it is worth more.

    Give --records, --registry, --posts and --media (the archive), and --labels for labels from
    elsewhere. The new model and the champion decide the same newest posts, of authors outside the
    training of the new one and later than what the champion saw. The challenger is published where
    the lower limit of its gain in money beats --margin and mean average precision does not fall by
    more than --measure-margin, nor the largest difference between identity terms grows by more than
    --identity-margin. The report is OUTPUT/retraining/report.html. The same command
    continues where it was cut off, and ends with a message if there are no new verdicts.
    """

    computed: ClassVar[str | None] = "rows"

    former_policies: tuple[InputPath, ...] = ()
    """YAML files of former policies; verdicts under a former version of a policy are then set
    aside; verdicts under policies whose file is not given count as current"""
    identity_margin: float = 0.05
    """by how much the largest difference of false positive rates between two identity terms may
    grow"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_retraining()
        if self.posts is None:
            raise ContractError("--posts is missing: see --help for what retraining needs")
        if not self.identity_margin >= 0.0:
            raise ContractError(
                f"--identity-margin: expected 0 or more, got {self.identity_margin}"
            )
        self.check_training()
        self.check_tables()


def main(config: RetrainConfig) -> dict[str, Any]:
    """Retrain and compare; returns what the records keep, with `decision` in words."""
    from jobs.framework.retraining import retrain
    from jobs.moderation.retraining import PostRetraining

    return retrain(config, PostRetraining())


if __name__ == "__main__":
    run_job(RetrainConfig, main)
