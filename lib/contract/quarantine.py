"""Parquet files that are whole or absent."""

from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from lib.durable import make_folder, make_private


def write_parquet(table: pa.Table, path: str | Path) -> Path:
    """Write `table` under a temporary name beside `path`, then rename: readers never see a part.

    The file is its owner's alone, as folders that are made for it are.
    """
    target = Path(path)
    make_folder(target.parent)
    partial = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    try:
        make_private(partial)
        pq.write_table(table, partial, compression="zstd")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
