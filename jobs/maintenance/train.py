"""Train the maintenance model: `python -m jobs.maintenance.train --help`."""

from jobs.framework.command import run_job
from jobs.maintenance.training_config import TrainConfig
from jobs.static_table.delegation import run_static_table


def main(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    from jobs.maintenance.training import train_model

    return train_model(config)


if __name__ == "__main__":
    run_static_table("maintenance", "train")
    run_job(TrainConfig, main)
