"""Long tables into wide ones and wide ones into long ones, a row of the source at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.cast import to_text
from lib.contract.checked import RowReasons
from lib.contract.coercion import as_array, plain
from lib.contract.declaration import ContractError
from lib.contract.origin import QUARANTINE_FILE, QUARANTINE_ROW

ORIGIN = (QUARANTINE_FILE, QUARANTINE_ROW)


@dataclass(frozen=True, slots=True)
class Pivot:
    """Long to wide: each row holds one value, and a tag says of what.

    `spread` gives every row the column that its tag names and leaves the other tags' columns null.
    Rows of one key are merged by the contract's check (`Contract.merges`), within a piece and
    across pieces, so the rows of one key may lie in different files.

    Args:
        index: source columns that stay as they are.
        tag: source column that names what the row holds.
        value: source column of the values.
    """

    index: tuple[str, ...]
    tag: str
    value: str

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The columns that are read from the files."""
        return (*self.index, self.tag, self.value)

    def tags(self, needed: Iterable[str]) -> tuple[str, ...]:
        """Those of `needed` columns that are named by tags."""
        return tuple(name for name in dict.fromkeys(needed) if name not in self.index)

    def rows(self, raw: pa.Table, needed: Iterable[str]) -> pa.Table:
        """Rows whose tag is needed; rows without a tag stay, to be quarantined."""
        names = pa.array(self.tags(needed), pa.string())
        texts = _tag_texts(raw, self.tag)
        return raw.filter(pc.or_kleene(pc.is_null(texts), pc.is_in(texts, value_set=names)))

    def spread(self, rows: pa.Table, needed: Iterable[str], reasons: RowReasons) -> pa.Table:
        """`rows` with one column per needed tag; null where the row is of another tag."""
        texts, values = _tag_texts(rows, self.tag), plain(as_array(rows[self.value]))
        missing = np.asarray(pc.is_null(texts).to_numpy(zero_copy_only=False))
        reasons.mark(missing, f"{self.tag}: missing")
        null = pa.scalar(None, values.type)
        stays = [*self.index, *(name for name in ORIGIN if name in rows.column_names)]
        columns = {name: as_array(rows[name]) for name in stays}
        for name in self.tags(needed):
            hit = pc.equal(texts, name).fill_null(False)
            columns[name] = pc.if_else(hit, values, null)
        return pa.table(columns)


@dataclass(frozen=True, slots=True)
class Unpivot:
    """Wide to long: one row for each of some columns, with the column's name and its value.

    Args:
        columns: source columns that become rows.
        label: name of the new column that holds the source column's name.
        value: name of the new column that holds its value.
    """

    columns: tuple[str, ...]
    label: str
    value: str

    def source_columns(self, needed: Iterable[str]) -> tuple[str, ...]:
        """The columns that are read from the files; `needed` are those of the long table."""
        others = [name for name in needed if name not in (self.label, self.value)]
        return tuple(dict.fromkeys([*others, *self.columns]))

    def rows(self, raw: pa.Table, needed: Iterable[str]) -> pa.Table:
        """`len(columns)` rows for each row of `raw`, those of one source row side by side."""
        count, wide = len(self.columns), raw.num_rows
        # column after column first, then the rows of each source row are brought together
        order = np.arange(wide * count).reshape(count, wide).T.reshape(-1)
        values = _one_type([plain(as_array(raw[name])) for name in self.columns])
        source = np.repeat(np.arange(wide), count)
        names = pa.DictionaryArray.from_arrays(
            pa.array(np.tile(np.arange(count, dtype=np.int32), wide)),
            pa.array(self.columns, pa.string()),
        )
        kept = raw.select([n for n in raw.column_names if n in {*needed, *ORIGIN}])
        long = kept.take(pa.array(source)) if kept.num_columns else pa.table({})
        added = {self.label: names.cast(pa.string()), self.value: values.take(pa.array(order))}
        for name, column in added.items():
            long = long.append_column(name, column)
        return long

    def refuse_taken(self, present: Iterable[str], origin: str) -> None:
        """Refuse names of new columns that the files have already.

        Raises:
            ContractError: naming the column.
        """
        for key, name in (("label", self.label), ("value", self.value)):
            if name in tuple(present):
                raise ContractError(
                    f"{origin}, unpivot.{key}: the data has a column '{name}' already; "
                    "give the new column another name"
                )


def _tag_texts(table: pa.Table, tag: str) -> pa.Array:
    texts, _ = to_text(tag, as_array(table[tag]))
    return texts


def _one_type(columns: list[pa.Array]) -> pa.Array:
    """The columns one after the other; as text where their types differ."""
    if len({column.type for column in columns}) > 1:
        columns = [to_text("", column)[0] for column in columns]
    return pa.concat_arrays(columns)
