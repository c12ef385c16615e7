"""Which posts teach what: no author and no time is on both sides of a test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.contract import ContractError
from lib.moderation.model.answers import Floats, Ints

PARTS = ("members", "fusion", "test", "unused")
"""Posts for the models of a modality, for fusion and calibration, for the report, for none."""

_MEMBERS = 0.6  # share of the authors who teach; the others teach fusion
_HELD, _FOLDS = 6, 4


@dataclass(frozen=True)
class Parting:
    """Parts of n posts.

    Attributes:
        part: (n,) place in `PARTS`.
        held: (n,) of the members' posts, those that choose blends and are not learnt.
        fold: (n,) of fusion, see `fit_fusion`; an author's posts are in one.
        test_from_us: posts from then on are tested on; microseconds since 1970, UTC.
    """

    part: Ints
    held: NDArray[np.bool_]
    fold: Ints
    test_from_us: int

    def rows(self, *names: str) -> Ints:
        """Rows of some parts, in their order."""
        wanted = [PARTS.index(name) for name in names]
        return np.flatnonzero(np.isin(self.part, wanted))

    @property
    def counts(self) -> dict[str, int]:
        """Posts of each part."""
        return {name: int((self.part == k).sum()) for k, name in enumerate(PARTS)}


def part_posts(
    authors: Sequence[str],
    at_us: Ints,
    labelled: NDArray[np.bool_],
    test_share: float,
    test_authors: float,
    seed: int,
) -> Parting:
    """Test on the newest posts, of authors that taught nothing.

    Args:
        authors: (n,) who posted.
        at_us: (n,) when, microseconds since 1970, UTC.
        labelled: (n,) whether anybody judged them; the others are unused.
        test_share: share of the labelled posts, the newest, that the test is from.
        test_authors: share of the authors whose older posts teach nothing, so that their newer ones
            test; authors who are new then test as well.
        seed: of who these are.

    Raises:
        ContractError: too few posts are labelled for all parts.
    """
    if labelled.sum() < len(PARTS):
        raise ContractError(
            f"labels: expected posts with labels for every part, got {int(labelled.sum())}"
        )
    split = int(np.quantile(at_us[labelled], 1.0 - test_share, method="higher"))
    lots = _lots(authors, seed)
    later = at_us >= split
    names = np.array(authors, dtype=object)
    seen_before = set(names[labelled & ~later].tolist())
    new = np.array([one not in seen_before for one in authors])
    tested = lots < test_authors
    teaches = labelled & ~later & ~tested
    part = np.full(len(at_us), PARTS.index("unused"), dtype=np.int64)
    part[labelled & later & (tested | new)] = PARTS.index("test")
    inner = (lots - test_authors) / (1.0 - test_authors)
    part[teaches] = np.where(
        inner[teaches] < _MEMBERS, PARTS.index("members"), PARTS.index("fusion")
    )
    fold = (_lots(authors, seed + 2) * _FOLDS).astype(np.int64)
    found = Parting(part, _lots(authors, seed + 1) < 1.0 / _HELD, fold, split)
    empty = [name for name in PARTS[:-1] if not found.counts[name]]
    if not empty and len(np.unique(fold[found.rows("fusion")])) < 2:
        empty = ["a second fold of fusion"]
    if empty:
        raise ContractError(
            f"posts: too few to part by author and time: none for {', '.join(empty)}; "
            f"{int(labelled.sum())} are labelled, test from {1 - test_share:.0%} of the time on; "
            "change --test-share or --test-authors, or give more posts"
        )
    return found


def _lots(authors: Sequence[str], seed: int) -> Floats:
    """(n,) within 0 and 1, the same for an author whatever the other posts are."""
    drawn = {
        name: int.from_bytes(
            hashlib.blake2b(
                f"{seed} {name}".encode("utf-8", "surrogatepass"), digest_size=7
            ).digest(),
            "big",
        )
        / 2**56
        for name in set(authors)
    }
    return np.array([drawn[name] for name in authors])
