"""Which rows leave for the quarantine, and why."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

QUARANTINE_REASON = "quarantine_reason"

Mask = npt.NDArray[np.bool_]


class RowReasons:
    """One reason per row, none at first; the first reason found for a row stays.

    Rows are held as small codes into a list of texts, so a clean table of any length costs four
    bytes a row and no text.
    """

    def __init__(self, rows: int) -> None:
        self._codes: npt.NDArray[np.int32] = np.full(rows, -1, dtype=np.int32)
        self._texts: list[str] = []
        self._code_of: dict[str, int] = {}

    @property
    def bad(self) -> Mask:
        """True where the row has a reason, one value per row."""
        return self._codes >= 0

    def mark(self, mask: Mask, text: str) -> None:
        """Give `text` to the rows of `mask` that have no reason yet."""
        fresh = mask & (self._codes < 0)
        if fresh.any():
            self._codes[fresh] = self._code(text)

    def mark_each(self, texts: pa.Array) -> None:
        """Give each row its own text; null means no fault."""
        encoded = texts.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for code, text in enumerate(encoded.dictionary.to_pylist()):
            self.mark(codes == code, text)

    def merge(self, faults: Iterable[tuple[Mask, str]]) -> None:
        """Mark every (mask, text) pair in turn."""
        for mask, text in faults:
            self.mark(mask, text)

    def mask_of(self, text: str) -> Mask:
        """True where the reason is `text`."""
        mask: Mask = self._codes == self._code_of.get(text, -2)
        return mask

    def texts(self) -> pa.Array:
        """The reasons as an Arrow string array, null where the row is good."""
        codes = pa.array(self._codes, mask=self._codes < 0)
        texts = pa.array(self._texts, type=pa.string())
        return pa.DictionaryArray.from_arrays(codes, texts).cast(pa.string())

    def counts(self) -> dict[str, int]:
        """Rows per reason, the most frequent first, ties by text."""
        sizes = np.bincount(self._codes[self._codes >= 0], minlength=len(self._texts))
        pairs = zip(self._texts, sizes.tolist(), strict=True)
        return dict(sorted(((t, n) for t, n in pairs if n), key=lambda pair: (-pair[1], pair[0])))

    def _code(self, text: str) -> int:
        if text not in self._code_of:
            self._code_of[text] = len(self._texts)
            self._texts.append(text)
        return self._code_of[text]
