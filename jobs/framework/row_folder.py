"""OUTPUT of a job that writes rows: in `work` until all is there, then in place, its note last."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.framework.options import shared_options
from lib.contract import ContractError
from lib.storage import Storage, open_storage, split_address, write_parquet

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

_FOLDERS = ("data", "quarantine")
_WORK_DATA = "work/data"


@dataclass(frozen=True)
class RowFolder:
    """The folder that a job writes; it is finished once its note is there.

    Args:
        storage: OUTPUT.
        note: name of the file that says what the rows are and what they were made of.
    """

    storage: Storage
    note: str

    @property
    def data(self) -> str:
        """Address of the finished rows."""
        return self.storage.address("data")

    @property
    def work(self) -> Storage:
        """Where the job writes until it is finished."""
        return open_storage(self.storage.address("work"))

    @property
    def quarantine(self) -> str:
        """Address of the rows that a job at work sets aside."""
        return self.storage.address("work/quarantine")

    @property
    def published_quarantine(self) -> str | None:
        """Address of the rows that were set aside; None where none were."""
        return self.storage.address("quarantine") if self.storage.exists("quarantine") else None

    @property
    def about(self) -> dict[str, Any]:
        """The fields of `ComputedRows`."""
        return {
            "note": self.read_note(),
            "address": self.data,
            "quarantine": self.published_quarantine,
        }

    def read_note(self) -> dict[str, Any]:
        """What the note says; empty without one."""
        note: dict[str, Any] = json.loads(self.storage.read(self.note) or b"{}")
        return note

    def has(self, inputs: Mapping[str, Any], rows: str = "rows") -> bool:
        """Whether rows of the same inputs are there already; says so if they are."""
        note = self.read_note()
        same = all(note.get(name) == value for name, value in inputs.items())
        if same:
            print(
                f"{rows} are there already: {self.storage.shown('data')} "
                "(--overwrite computes them again)"
            )
        return same

    def start(self) -> None:
        """Empty `work`, which marks the folder as unfinished for readers."""
        self.storage.delete("work")
        self.storage.write("work/started", b"")

    def write(self, rows: Dataset, dictionaries: Sequence[str] | None = None) -> None:
        """Write the rows to `work`, for their owner alone; see `write_private_rows`."""
        write_private_rows(rows, self.storage, _WORK_DATA, dictionaries)

    def drop_parts(self) -> None:
        """Delete the rows in `work`, of which a task that was lost may have written some."""
        self.storage.delete(_WORK_DATA)

    def write_part(
        self, number: int, rows: pa.Table, dictionaries: Sequence[str] | None = None
    ) -> None:
        """Write one file of the rows to `work`; see `lib.storage.write_parquet`."""
        path = f"{_WORK_DATA}/{number:05}.parquet"
        write_parquet(rows, self.storage, path, dictionaries)

    def publish(self) -> None:
        """Move the folders into place; without the note, readers do not take them yet."""
        self.storage.delete(self.note)
        for name in _FOLDERS:
            self.storage.move(f"work/{name}", name)

    def finish(self, note: Mapping[str, Any]) -> None:
        """Write the note, and drop what is left of the work."""
        self.storage.write(self.note, json.dumps(note, indent=2).encode())
        self.storage.delete("work")

    def locations(self, rows: str) -> list[str]:
        """The closing lines that say where rows and quarantine lie."""
        return [
            f"{f'{rows}:':12}{self.storage.shown('data')}",
            f"quarantine: {self.storage.shown('quarantine')}",
        ]


@dataclass(frozen=True, kw_only=True)
class ComputedRows:
    """What is known of rows that a job computed, beside the rows.

    Attributes:
        note: of the job.
        address: of the rows.
        quarantine: of those that were set aside; None where none were.
    """

    note: dict[str, Any]
    address: str
    quarantine: str | None


def find_row_folder(folder: str, note: str, option: str, job: str) -> RowFolder:
    """The finished output of a job.

    Args:
        folder: path or URI of it, or of its `data`.
        note: name of its note.
        option: that gave the folder.
        job: that writes such folders.

    Raises:
        ContractError: it is not there, or not finished.
    """
    storage = open_storage(folder)
    if not storage.exists(note):
        above, last = split_address(storage.address())
        storage = open_storage(above) if last == "data" else storage
    if not storage.exists(note):
        state = "is not finished" if storage.exists("work") else "is not there"
        raise ContractError(f"{option}: {folder} {state}: expected the output of {job}")
    return RowFolder(storage, note)


def find_or_write_rows(
    config: Any, name: str, write: Callable[[Any], str], options: type[Any], **more: Any
) -> str:
    """The folder of rows that a training is given, written first where tables are given instead.

    Args:
        config: options of the training, with `features`, `output` and those of `options`.
        name: of the folder below the training's output.
        write: the job that writes rows.
        options: of that job.
        more: options of that job which the training has under another name.

    Raises:
        ContractError: neither or both are given, or a table cannot be read.
    """
    config.check()
    if config.features is not None:
        return str(config.features)
    output = open_storage(config.output).address(name)
    write(shared_options(options, config, output=output, **more))
    return output


def report_rows(data: str, folder: RowFolder, closing_lines: Callable[[RowFolder], str]) -> str:
    """Print the closing lines of a finished folder; returns `data`, where its rows lie."""
    print(closing_lines(folder))
    return data


def write_private_rows(
    rows: Dataset, storage: Storage, path: str, dictionaries: Sequence[str] | None = None
) -> None:
    """Write `rows` as Parquet files below `path` of a storage, for its owner alone.

    Ray's writers make files as the umask says, so the folder is closed before they begin.

    Args:
        rows: to write.
        storage: where to write.
        path: of the folder in it.
        dictionaries: columns whose values repeat; see `lib.storage.write_parquet`.
    """
    by_dictionary = True if dictionaries is None else list(dictionaries)
    storage.make_private(path)
    rows.write_parquet(
        storage.at(path),
        filesystem=storage.filesystem,
        compression="zstd",
        use_dictionary=by_dictionary,
    )
    storage.make_private(path)
