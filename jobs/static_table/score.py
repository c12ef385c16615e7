"""Score a table without times: `python -m jobs.static_table.score --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, OutputPath
from jobs.model_source import ModelOptions
from jobs.static_table.sources import TableOptions
from lib.contract import Mapping
from lib.static_table.table_mapping import TableMapping, scoring_mapping


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(ModelOptions, TableOptions):
    """Say of each row of a table how likely the label is true, and why; it decides nothing.

    Give --model or --registry. The table needs no label. `jobs.churn.score --static` and
    `jobs.maintenance.score --static` are this job.
    """

    output: OutputPath
    """output folder or URI for the scores and the rows set aside"""
    mapping_static: InputPath | None = None
    """YAML mapping file of --static; default: the one that the model was trained with"""

    def bound(self, mapping: TableMapping) -> Mapping:
        """Without label and group."""
        return scoring_mapping(mapping.mapping)


def main(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    from jobs.static_table.scoring import score_table

    return score_table(config)


if __name__ == "__main__":
    run_job(ScoreConfig, main)
