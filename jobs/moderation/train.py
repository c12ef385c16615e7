"""Train the moderation model: `python -m jobs.moderation.train --help`."""

from jobs.framework.command import run_job
from jobs.moderation.training_config import TrainConfig


def main(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    from jobs.moderation.training import train_model

    return train_model(config)


if __name__ == "__main__":
    run_job(TrainConfig, main)
