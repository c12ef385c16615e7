"""Values of a column by those of another table: `lookup: {file: ..., key: ..., value: ...}`.

Usage is told by subscription, churn by account: a third table says whose each subscription is.
"""

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.dataset as ds

from lib.contract.error import did_you_mean
from lib.contract.source import parquet_format
from lib.contract.yaml_section import Section

_MOST_ROWS = 5_000_000


def looked_up(section: Section, beside: str) -> dict[str, str]:
    """Text to text, of a Parquet or CSV file; rows without one of the two are left out.

    Args:
        section: with `file` (in `beside`), `key` and `value` (columns of it), and, where a key has
            several rows, `newest_by`: a column whose greatest value says which of them counts.
        beside: folder or URI.

    Raises:
        ContractError: the file or a column is absent, or a key has two values.
    """
    section.only(("file", "key", "value", "newest_by"))
    name, newest = section.required_text("file"), section.text("newest_by")
    wanted = {which: section.required_text(which) for which in ("key", "value")}
    wanted |= {} if newest is None else {"newest_by": newest}
    table = _table(section, f"{beside}/{name}", wanted)
    if newest is not None:
        table = table.sort_by([(newest, "ascending")])
    pairs = [table[wanted[which]].cast(pa.string()).to_pylist() for which in ("key", "value")]
    found: dict[str, str] = {}
    for key, value in zip(*pairs, strict=True):
        if key is None or value is None:
            continue
        if newest is not None:
            found[key] = value
        if found.setdefault(key, value) != value:
            section.fail(
                f"{wanted['key']} '{key}' has two values of {wanted['value']} in {name}; say which "
                "counts by newest_by: COLUMN",
                "key",
            )
    return found


def _table(section: Section, path: str, wanted: dict[str, str]) -> pa.Table:
    texts = dict.fromkeys(wanted.values(), pa.string())
    as_text = pc_csv.ConvertOptions(column_types=texts)
    csv = ds.CsvFileFormat(convert_options=as_text)
    try:
        data = ds.dataset(path, format=csv if path.endswith(".csv") else parquet_format())
    except (OSError, pa.ArrowInvalid) as error:
        section.fail(f"cannot be read: {error}; it lies beside the data or the mapping", "file")
    for which, column in wanted.items():
        if column not in data.schema.names:
            hint = did_you_mean(column, data.schema.names)
            section.fail(f"the file has no column '{column}'; {hint}", which)
    if data.count_rows() > _MOST_ROWS:
        section.fail(f"more than {_MOST_ROWS:,} rows; join the tables first", "file")
    return data.to_table(columns=list(wanted.values()))
