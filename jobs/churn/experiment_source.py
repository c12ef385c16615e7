"""The table of a randomised experiment: where it is, and by which mapping file it is read."""

from dataclasses import dataclass

from jobs.framework.paths import InputPath, LocalInput
from jobs.framework.progress import JobOptions
from jobs.static_table.sources import folder_of
from lib.contract import source_schema
from lib.static_table.table_mapping import TableMapping, read_table_mapping
from lib.uplift.contracts import EXPERIMENT


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(JobOptions):
    """A table with one row per customer of an experiment in which chance decided."""

    experiment: InputPath
    """the table: Parquet or CSV file, folder or URI"""
    mapping_experiment: LocalInput
    """YAML mapping file of --experiment: contract experiment_rows"""

    def check(self) -> None:
        """See `JobOptions`."""
        source_schema(self.read_mapping().mapping, self.experiment, may_be_empty=True)

    def read_mapping(self) -> TableMapping:
        """The mapping file."""
        return read_table_mapping(self.mapping_experiment, folder_of(self.experiment), EXPERIMENT)
