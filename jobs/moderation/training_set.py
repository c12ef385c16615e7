"""Reading what `jobs.moderation.train`, `tune` and `retrain` learn from."""

from __future__ import annotations

from jobs.framework.options import shared_options
from jobs.moderation.dataset import PreparedDataset, find_rows
from jobs.moderation.preprocess import PreprocessConfig
from jobs.moderation.preprocessing import write_rows
from jobs.moderation.training_config import TrainConfig
from lib.moderation.model.model_config import ModelConfig
from lib.storage import open_storage


def rows_of(config: TrainConfig, size: ModelConfig) -> PreparedDataset:
    """The rows that a training is given, computed first where tables are given instead.

    Raises:
        ContractError: neither or both are given, or a table cannot be read.
    """
    config.check()
    if config.rows is not None:
        return find_rows(config.rows, size)
    output = open_storage(config.output).address("rows")
    write_rows(shared_options(PreprocessConfig, config, output=output))
    return find_rows(output, size)
