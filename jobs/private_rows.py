"""Rows that Ray Data writes, where only their owner may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.storage import Storage

if TYPE_CHECKING:
    from ray.data import Dataset


def write_private_rows(rows: Dataset, storage: Storage, path: str) -> None:
    """Write `rows` as Parquet files below `path` of a storage, for its owner alone.

    Ray's writers make files as the umask says, so the folder is closed before they begin.
    """
    storage.make_private(path)
    rows.write_parquet(storage.at(path), filesystem=storage.filesystem)
    storage.make_private(path)
