"""Try a mapping file on a data set: `python -m jobs.mapping.check FILE --mapping mapping.yaml`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalInput, LocalOutput
from jobs.framework.progress import JobOptions
from jobs.ingestion import mapping_for
from jobs.mapping.contracts import candidates
from lib.contract import ContractError, Mapping, read_pieces, source_files, source_schema
from lib.contract.quarantine_summary import summary_of
from lib.contract.reading_report import ReadingReport
from lib.contract.row_preview import RowPreview, preview_rows
from lib.contract.source import read_checked
from lib.contract.yaml_section import parse_section
from lib.declaration import did_you_mean, read_yaml_text
from lib.durable import make_folder, replace_file
from lib.report import render_page


@dataclass(frozen=True)
class CheckConfig(JobOptions):
    """Read a data set by a mapping file, and show what becomes of its rows.

    Prints how many rows are good, set aside, left out, repeated and merged, the most frequent
    reasons, and rows before and after, side by side. Nothing is kept. It ends with code 1 where no
    row is good.
    """

    file: tyro.conf.Positional[InputPath]
    """data set: Parquet or CSV file, folder or URI"""
    mapping: LocalInput
    """mapping file"""
    contract: str | None = None
    """contract as SYSTEM.NAME, where several systems have one of that name; default: the one that
    the mapping file fits"""
    rows: int = 10
    """rows that are shown before and after"""
    html: LocalOutput | None = None
    """page of the same that is written; it holds rows of the data: its owner alone may read it"""

    def check(self) -> None:
        """See `JobOptions`."""
        if self.rows < 0:
            raise ContractError(f"--rows: expected 0 or more, got {self.rows}")
        if self.html is not None and self.html.is_dir():
            raise ContractError(f"--html: {self.html} is a folder; give the name of a file")
        _, mapping = mapping_of(self)
        source_schema(mapping, self.file, may_be_empty=True)


def mapping_of(config: CheckConfig) -> tuple[str, Mapping]:
    """Name of the contract, with its system, and the mapping for it.

    Raises:
        ContractError: the mapping file is wrong.
    """
    name = str(config.mapping)
    text = read_yaml_text(config.mapping, config.mapping.name, ContractError)
    written = parse_section(text, config.mapping.name).required_text("contract")
    possible = candidates(config.contract, on_request=True)
    listed = [c for c in possible if c.contract.name == written]
    if not listed:
        names = [c.contract.name for c in possible]
        raise ContractError(
            f"{config.mapping.name}: contract: '{written}' is not possible here; "
            f"{did_you_mean(written, names)}"
        )
    faults: list[ContractError] = []
    for candidate in listed:
        try:
            return candidate.name, mapping_for(candidate.contract, name, config.file)
        except ContractError as error:
            faults.append(error)
    raise faults[0]


def main(config: CheckConfig) -> ReadingReport:
    """Read, print, and write the page.

    Raises:
        ContractError: no row is good.
    """
    contract, mapping = mapping_of(config)
    checked = read_checked(mapping, config.file, may_be_empty=True)
    report = ReadingReport(
        source=config.file,
        mapping=config.mapping.name,
        contract=contract,
        good=checked.good.num_rows,
        summary=summary_of(checked, mapping),
        rows=_previews(mapping, config),
    )
    print(report.to_text())
    if config.html is not None:
        make_folder(Path(config.html).parent)
        replace_file(Path(config.html), render_page(report.page()).encode())
        print(f"\npage: {config.html}")
    if not report.good:
        raise ContractError(report.summary.most_frequent_reason(config.file))
    return report


def _previews(mapping: Mapping, config: CheckConfig) -> list[RowPreview]:
    """Rows of the first piece that has any."""
    if not config.rows:
        return []
    for file in source_files(mapping.file, config.file):
        for piece in read_pieces(mapping, file):
            if rows := preview_rows(mapping, piece.rows, config.rows):
                return rows
    return []


if __name__ == "__main__":
    run_job(CheckConfig, main)
