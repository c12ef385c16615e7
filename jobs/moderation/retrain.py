"""Learn from what people decided since: `python -m jobs.moderation.retrain --help`."""

from dataclasses import dataclass
from typing import Any, Literal

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.moderation.training_config import TrainConfig
from lib.contract import ContractError


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(TrainConfig):
    """Train a challenger on the archive with the labels from reviews since the last training.

    Give --records, --registry, --posts and --media (the archive), and --labels for labels from
    elsewhere. The new model and the champion score the same newest posts, of authors outside the
    training of the new one; it becomes the challenger only if it is better by --margin. Every
    step is in OUTPUT/report.json, below `retraining`. The same command continues where it was cut
    off, and ends with a message if there are no new verdicts.
    """

    records: str | None = None
    """database of the review queue: sqlite:///path or postgresql+psycopg://user@host/database"""
    margin: float = 0.005
    """mean average precision by which the new model must be better; and its 95% interval, by
    drawing authors, must lie above 0"""
    former_policies: tuple[InputPath, ...] = ()
    """YAML files of former policies; verdicts under a former version of a policy are then set
    aside; verdicts under policies whose file is not given count as current"""
    least: int = 1
    """minimum number of new labels since the last training; with fewer the job ends without
    training"""
    alias: Literal["champion", "challenger", "none"] = "challenger"
    """alias that the model gets if it is better"""

    def check(self) -> None:
        """See `JobOptions`."""
        for name in ("records", "registry", "posts"):
            if getattr(self, name) is None:
                raise ContractError(f"--{name} is missing: see --help for what retraining needs")
        if self.rows is not None:
            raise ContractError("--rows: expected --posts, since labels have changed, got rows")
        if self.margin < 0:
            raise ContractError(f"--margin: expected 0 or more, got {self.margin}")
        self.check_training()
        self.check_tables()


def main(config: RetrainConfig) -> dict[str, Any]:
    """Retrain and compare; returns what is written to report.json, below `retraining`."""
    from jobs.moderation.retraining import retrain_model

    return retrain_model(config)


if __name__ == "__main__":
    run_job(RetrainConfig, main)
