"""The posts among which to choose, with what the model makes of them."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class SelectionError(ValueError):
    """The pool, or what is asked of it, is not what it has to be."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """n posts, d numbers of the last layer's input, k policies or classes.

    Attributes:
        embeddings: (n, d), may be a memory map: it is read in pieces.
        probabilities: (n, k), each 0 to 1.
        exclusive: classes of which each post has one (softmax); else policies, each by itself.
        labelled: (n,) those decided before, never chosen again.
        keys: (n,) equal where posts are the same, negative for those like no other; None for all.

    Raises:
        SelectionError: shapes disagree, or a probability is not one.
    """

    embeddings: Floats
    probabilities: Floats
    exclusive: bool
    labelled: Bools
    keys: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count = len(self.embeddings)
        if self.embeddings.ndim != 2 or self.probabilities.ndim != 2:
            raise SelectionError(
                "embeddings, probabilities: expected (n, d) and (n, k), got "
                f"{self.embeddings.shape} and {self.probabilities.shape}"
            )
        for name in ("probabilities", "labelled", "keys"):
            value = getattr(self, name)
            if value is not None and len(value) != count:
                raise SelectionError(f"{name}: expected {count} rows, got {len(value)}")
        probabilities = self.probabilities
        if count and not (float(probabilities.min()) >= 0.0 and float(probabilities.max()) <= 1.0):
            raise SelectionError("probabilities: expected 0 to 1 in every place")
        if self.exclusive and count and self.probabilities.shape[1] < 2:
            raise SelectionError("probabilities: expected two or more classes, got 1")

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def leaning(self) -> Rows:
        """(n,) the policy whose probability is highest beside its mean over the pool.

        So that posts near a rare policy are counted to it, though another is more probable; -1
        where no probability is above its mean.
        """
        mean = self.probabilities.mean(axis=0)
        lift = self.probabilities / np.where(mean > 0, mean, 1.0)
        policy_indices: Rows = np.where(lift.max(axis=1) > 1.0, lift.argmax(axis=1), -1).astype(
            np.int64
        )
        return policy_indices

    def free(self) -> Bools:
        """(n,) neither labelled nor the same as one that is."""
        free = ~self.labelled
        if self.keys is not None:
            labelled_keys = np.unique(self.keys[self.labelled])
            free &= ~np.isin(self.keys, labelled_keys[labelled_keys >= 0])
        return free


def entropy(probabilities: Floats, exclusive: bool) -> Doubles:
    """(n,) uncertainty in nats, of the class or summed over the policies; high is uncertain."""
    values = np.asarray(probabilities, dtype=np.float64)
    entropies: Doubles = _information(values).sum(axis=1)
    return entropies if exclusive else entropies + _information(1.0 - values).sum(axis=1)


def margin(probabilities: Floats, exclusive: bool) -> Doubles:
    """(n,) distance to another decision; low is uncertain.

    Of classes the best less the second best; of policies the least distance from a half, doubled.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if not exclusive:
        nearest: Doubles = 2.0 * np.abs(values - 0.5).min(axis=1)
        return nearest
    best: Doubles = np.partition(values, -2, axis=1)
    return best[:, -1] - best[:, -2]


def _information(probabilities: Doubles) -> Doubles:
    return -probabilities * np.log(np.where(probabilities > 0, probabilities, 1.0))


def fold_plainly(text: str) -> str:
    """Letters and digits alone, compatible forms as one, without case: `Ｈｉ, you!` is `hiyou`."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def text_keys(texts: Sequence[str | None]) -> Rows:
    """(n,) keys, equal where folded texts are; -1, equal to nothing, where nothing is left of one.

    `texts` are those of the posts, None where there is none.
    """
    return np.array([_key(fold_plainly(text)) if text else -1 for text in texts], dtype=np.int64)


def _key(folded: str) -> int:
    if not folded:
        return -1
    digest = hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
