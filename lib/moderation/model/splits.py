"""Which posts teach what: no author and no time, where known, is on both sides of a test."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lib.contract import ContractError
from lib.contract.end_of_data import end_of_data
from lib.moderation.model.model_config import Split
from lib.moderation.model.outputs import Floats, Ints

PARTS = ("members", "fusion", "test", "unused")
"""Posts for the models of a modality, for fusion and calibration, for the report, for none."""

_MEMBERS = 0.6  # share of the authors who teach; the others teach fusion
_TEST_PARTS, _FOLDS = 6, 4


@dataclass(frozen=True)
class PostSplit:
    """Parts of n posts.

    Attributes:
        part: (n,) place in `PARTS`.
        held: (n,) of the members' posts, those that choose blends and are not learnt.
        fold: (n,) of fusion, see `fit_fusion`; an author's posts are in one.
        test_from_us: posts from then on are tested on; microseconds since 1970, UTC.
    """

    part: Ints
    held_out: NDArray[np.bool_]
    fold: Ints
    test_from_us: int

    def rows(self, *names: str) -> Ints:
        """Rows of some parts, in their order."""
        part_indices = [PARTS.index(name) for name in names]
        return np.flatnonzero(np.isin(self.part, part_indices))

    @property
    def counts(self) -> dict[str, int]:
        """Posts of each part."""
        return {name: int((self.part == k).sum()) for k, name in enumerate(PARTS)}


def split_posts(
    authors: Sequence[str],
    at_us: Ints,
    labelled: NDArray[np.bool_],
    test_share: float,
    test_authors: float,
    seed: int,
    split: Split = "author-time",
) -> PostSplit:
    """Test on the newest posts, of authors that taught nothing, or as `split` says.

    Args:
        authors: (n,) who posted.
        at_us: (n,) when, microseconds since 1970, UTC.
        labelled: (n,) whether anybody judged them; the others are unused.
        test_share: share of the labelled posts, the newest, that the test is from; those dated far
            after all others do not count.
        test_authors: share of the authors whose older posts teach nothing, so that their newer ones
            test; authors who are new then test as well.
        seed: of who these are.
        split: `author-time`; `author` leaves times out: a share of the authors tests; `time` and
            `random` take each post for an author of its own, the latter leaves times out as well.

    Raises:
        ContractError: too few posts are labelled for all parts.
    """
    if labelled.sum() < len(PARTS):
        raise ContractError(
            f"labels: expected posts with labels for every part, got {int(labelled.sum())}"
        )
    _check_parts(authors, at_us, labelled, split)
    ended = at_us[labelled & (at_us <= end_of_data(at_us[labelled]).last_us)]
    start = int(np.quantile(ended, 1.0 - test_share, method="higher"))
    by_time = split in {"author-time", "time"}
    later = at_us >= start if by_time else np.ones(len(at_us), dtype=bool)
    if split != "author-time":
        test_authors = 0.0 if by_time else test_share
    lots = _lots(authors, seed)
    names = np.array(authors, dtype=object)
    seen_before = set(names[labelled & ~later].tolist())
    new = np.array([by_time and author not in seen_before for author in authors])
    tested = lots < test_authors
    teaches = labelled & ~(later & by_time) & ~tested
    part = np.full(len(at_us), PARTS.index("unused"), dtype=np.int64)
    part[labelled & later & (tested | new)] = PARTS.index("test")
    inner = (lots - test_authors) / (1.0 - test_authors)
    part[teaches] = np.where(
        inner[teaches] < _MEMBERS, PARTS.index("members"), PARTS.index("fusion")
    )
    fold = (_lots(authors, seed + 2) * _FOLDS).astype(np.int64)
    parting = PostSplit(
        part,
        _lots(authors, seed + 1) < 1.0 / _TEST_PARTS,
        fold,
        start if by_time else int(at_us[labelled].min()),
    )
    _check_counts(parting, int(labelled.sum()), test_share)
    return parting


def split_authors(posts: pa.Table, split: Split) -> pa.Table:
    """Posts, each of an author of its own where the split takes it so."""
    if split in {"author-time", "author"}:
        return posts
    index = posts.column_names.index("author_id")
    return posts.set_column(index, "author_id", posts["post_id"])


def _check_parts(
    authors: Sequence[str], at_us: Ints, labelled: NDArray[np.bool_], split: Split
) -> None:
    """Refuse posts of too few authors or of one time, which no share would part."""
    count = len({authors[row] for row in np.flatnonzero(labelled).tolist()})
    if count < len(PARTS):
        raise ContractError(
            f"posts: all {int(labelled.sum())} labelled posts are of {count} authors; a test on "
            f"authors that taught nothing needs {len(PARTS)} or more; map author_id to who posted, "
            "or take each post for itself by --split random (--split time where times are known); "
            "the test is then too kind where one author says the same more than once"
        )
    if split in {"author-time", "time"} and len(np.unique(at_us[labelled])) == 1:
        raise ContractError(
            f"posts: all {int(labelled.sum())} labelled posts are of one time, so that none are "
            "newer; map event_time to when they were posted, or leave time out by --split author "
            "(--split random where authors are not known either); the test is then too kind where "
            "what people post changes"
        )


def _check_counts(parting: PostSplit, labelled: int, test_share: float) -> None:
    """Refuse parts without posts."""
    empty = [name for name in PARTS[:-1] if not parting.counts[name]]
    if not empty and len(np.unique(parting.fold[parting.rows("fusion")])) < 2:
        empty = ["a second fold of fusion"]
    if empty:
        raise ContractError(
            f"posts: too few to part by author and time: none for {', '.join(empty)}; "
            f"{labelled} are labelled, test from {1 - test_share:.0%} of the time on; "
            "change --test-share, --test-authors or --split, or give more posts"
        )


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
