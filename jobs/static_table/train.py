"""Train on a table without times: `python -m jobs.static_table.train --help`."""

from dataclasses import dataclass, field
from typing import Literal

from jobs.framework.command import run_job
from jobs.framework.paths import OutputPath
from jobs.static_table.sources import TableOptions
from lib.contract import ContractError
from lib.static_table.split import SplitSettings


@dataclass(frozen=True, kw_only=True)
class TrainConfig(TableOptions):
    """Train a model of a table with one row per customer or machine, a label, and no times.

    Says which columns are likely leaks, how the model compares with simpler ones, and why it
    decides as it does. Without --mapping-static every column that can be one is an attribute, and
    the mapping file that this comes to is written to OUTPUT. `jobs.churn.train --static` and
    `jobs.maintenance.train --static` are this job.
    """

    output: OutputPath
    """output folder or URI for the model, report.html, report.json and the rows set aside"""
    label_column: str | None = None
    """column that is the label, where there is no mapping file; default: by its name"""
    id_column: str | None = None
    """column that is the id, where there is no mapping file; default: by its name, or the number
    of the row"""
    split: SplitSettings = field(default_factory=SplitSettings)
    """how rows are split"""
    trees: Literal["auto", "shallow", "deep"] = "auto"
    """trees of two splits, for attributes that add up; of five, for attributes that act together;
    auto: those with the lower loss on rows that are left out of the rows to learn from"""
    bootstrap: int = 300
    """number of bootstrap samples of rows or groups for the confidence intervals"""
    source: str = ""
    """description of the data for the report; default: the path that it was read from"""
    registry: OutputPath | None = None
    """directory or URI of the model registry, where it is published as a model of churn_static or
    maintenance_static, which no service takes; without it the model is not published"""
    alias: Literal["champion", "challenger", "none"] = "challenger"
    """alias that the published version gets"""
    seed: int = 7
    """seed of the random numbers; the same seed and data give the same model"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.split.check()
        if self.bootstrap < 1:
            raise ContractError(f"--bootstrap: expected 1 or more, got {self.bootstrap}")
        named = [
            option
            for option, name in (
                ("--label-column", self.label_column),
                ("--id-column", self.id_column),
            )
            if name is not None
        ]
        if named and self.mapping_static is not None:
            raise ContractError(f"{named[0]}: the mapping file says it; give one of them")
        super().check()


def main(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    from jobs.static_table.training import train_model

    return train_model(config)


if __name__ == "__main__":
    run_job(TrainConfig, main)
