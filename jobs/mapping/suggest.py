"""Suggest a mapping file for a data set: `python -m jobs.mapping.suggest FILE --output m.yaml`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalOutput
from jobs.framework.progress import JobOptions
from jobs.mapping.contracts import candidates
from lib.contract import ContractError
from lib.contract.suggestion.suggestion import Suggestion, suggest
from lib.durable import make_folder, replace_file

_FEWEST_ROWS = 10


@dataclass(frozen=True)
class SuggestConfig(JobOptions):
    """Propose a mapping file for a data set that nobody described yet.

    Reads a sample, and guesses from names, types, ranges and uniqueness. Lines that would change
    the meaning of the data where they are wrong (zones and money first of all) follow a comment
    `# unsure:`; columns that look like labels, or look into the future, are left out with a reason.
    """

    file: tyro.conf.Positional[InputPath]
    """data set: Parquet or CSV file of any delimiter and encoding, folder or URI"""
    contract: str | None = None
    """contract to fill, by its name or as SYSTEM.NAME, such as transactions or fraud.labels;
    default: the one that fits best"""
    output: LocalOutput | None = None
    """mapping file that is written; default: it is printed"""
    sample_rows: int = 50_000
    """rows that are read for it, about"""

    def check(self) -> None:
        """See `JobOptions`."""
        candidates(self.contract)
        if self.sample_rows < _FEWEST_ROWS:
            raise ContractError(
                f"--sample-rows: expected {_FEWEST_ROWS} or more, got {self.sample_rows}"
            )
        if self.output is not None and self.output.is_dir():
            raise ContractError(f"--output: {self.output} is a folder; give the name of a file")


def main(config: SuggestConfig) -> Suggestion:
    """Print the mapping file, or write it and print what is to be looked at."""
    suggestion = suggest(config.file, candidates(config.contract), config.sample_rows)
    if config.output is None:
        print(suggestion.text, end="")
        return suggestion
    target = Path(config.output)
    make_folder(target.parent)
    replace_file(target, suggestion.text.encode())
    print("\n".join(closing_lines(suggestion, config)))
    return suggestion


def closing_lines(suggestion: Suggestion, config: SuggestConfig) -> list[str]:
    """What was suggested, and what is to be looked at."""
    checked = suggestion.checked
    lines = [
        f"contract: {suggestion.contract}",
        f"filled:   {', '.join(suggestion.choice.matches) or 'nothing'}",
    ]
    lines += [f"lacking:  {name}: {text}" for name, text in suggestion.lacking.items()]
    lines += [
        f"unsure:   {suggestion.unsure} lines",
        f"sample:   {checked.good.num_rows:,} of {checked.rows_in:,} rows are good",
        f"mapping:  {config.output}",
    ]
    return lines


if __name__ == "__main__":
    run_job(SuggestConfig, main)
