"""Posts that say the same: told by a key of their folded text."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]


def fold_plainly(text: str) -> str:
    """Letters and digits alone, compatible forms as one, without case: `Ｈｉ, you!` is `hiyou`."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def text_keys(texts: Sequence[str | None]) -> Keys:
    """(n,) keys, equal where folded texts are; -1, equal to nothing, where nothing is left of one.

    `texts` are those of the posts, None where there is none.
    """
    return np.array([_key(fold_plainly(text)) if text else -1 for text in texts], dtype=np.int64)


def _key(folded: str) -> int:
    if not folded:
        return -1
    digest = hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
