"""Values that were changed on reading while their row stays, counted by column and reason."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.reason import Mask

VALUE_ADJUSTMENTS = "value_adjustments"

_Rows = npt.NDArray[np.int64]


class Adjustments:
    """Which values of a table were adjusted, and why; a row may have several.

    Kept as row numbers by text, so a table without adjustments costs nothing.
    """

    def __init__(self, rows: int) -> None:
        self._size = rows
        self._rows: dict[str, list[_Rows]] = {}

    def add(self, mask: Mask, text: str) -> None:
        """Note `text` ("latitude: not a number") for the rows of `mask`."""
        rows = np.flatnonzero(mask)
        if rows.size:
            self._rows.setdefault(text, []).append(rows)

    def add_each(self, column: pa.Array) -> None:
        """Take over what an earlier reading noted, as `column` gives it."""
        texts = column.flatten().dictionary_encode()
        owners = pc.list_parent_indices(column).to_numpy()
        codes = texts.indices.to_numpy(zero_copy_only=False)
        for code, text in enumerate(texts.dictionary.to_pylist()):
            self._rows.setdefault(text, []).append(owners[codes == code].astype(np.int64))

    def rows_of(self, name: str) -> Mask:
        """Rows in which a value of the column `name` was adjusted."""
        mask = np.zeros(self._size, dtype=np.bool_)
        for text, parts in self._rows.items():
            if text.startswith(f"{name}: "):
                mask[np.concatenate(parts)] = True
        return mask

    def column(self) -> pa.Array:
        """The notes as a column of lists of texts, an empty list where there is none."""
        kind = pa.list_(pa.string())
        texts = list(self._rows)
        parts = [np.concatenate(self._rows[text]) for text in texts]
        if not parts:
            offsets = pa.array(np.zeros(self._size + 1, dtype=np.int32))
            return pa.ListArray.from_arrays(offsets, pa.array([], pa.string()), type=kind)
        rows = np.concatenate(parts)
        codes = np.repeat(np.arange(len(parts)), [part.size for part in parts])
        order = np.argsort(rows, kind="stable")
        ends = np.cumsum(np.bincount(rows, minlength=self._size))
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        values = pa.array(texts, pa.string()).take(pa.array(codes[order]))
        return pa.ListArray.from_arrays(offsets, values, type=kind)

    def counts(self, kept: Mask) -> dict[str, int]:
        """Adjusted values in the rows of `kept`, by text, the most frequent first."""
        sizes = {
            text: int(np.count_nonzero(kept[np.concatenate(parts)]))
            for text, parts in self._rows.items()
        }
        pairs = [(text, size) for text, size in sizes.items() if size]
        return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
