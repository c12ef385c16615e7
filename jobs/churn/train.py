"""Train the churn model: `python -m jobs.churn.train --help`."""

from jobs.churn.training_config import TrainConfig
from jobs.framework.command import run_job
from jobs.static_table.delegation import run_static_table


def main(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    from jobs.churn.training import train_model

    return train_model(config)


if __name__ == "__main__":
    run_static_table("churn", "train")
    run_job(TrainConfig, main)
