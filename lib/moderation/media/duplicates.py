"""How many posts only say or show again what an earlier one did."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lib.moderation.media.hashes import CERTAIN
from lib.moderation.model.outputs import Ints

_WORDS, _NEIGHBOURS = 4, 3


def near_duplicates(looks: NDArray[np.uint64]) -> Ints:
    """(n,) a number for each image, equal where images look the same.

    Sorted neighbourhood (Hernandez and Stolfo 1995): hashes are sorted once from each of their four
    words on, and compared with the next few, so that millions take seconds. A pair that differs in
    the first bits of every word is missed: the count is a lower bound.

    Args:
        looks: (n, 4) PDQ hashes.
    """
    pairs = [np.zeros((2, 0), dtype=np.int64)]
    for word in range(_WORDS):
        turned = np.roll(looks, -word, axis=1)
        order = np.lexsort(turned.T[::-1])
        for step in range(1, _NEIGHBOURS + 1):
            first, other = order[:-step], order[step:]
            apart = np.bitwise_count(looks[first] ^ looks[other]).sum(axis=1)
            pairs.append(np.stack([first, other])[:, apart <= CERTAIN])
    rows, columns = np.concatenate(pairs, axis=1)
    alike = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(looks), len(looks)))
    return np.asarray(connected_components(alike, directed=False)[1], dtype=np.int64)


def repeated_posts(posts: pa.Table, media: pa.Table) -> int:
    """Posts all of whose text, images and video are those of an earlier one.

    Args:
        posts: `post_id`, `text_key`.
        media: `post_id`, `digest`, `look` of those that could be decoded.
    """
    signs: dict[str, list[str]] = {}
    for post, key in zip(posts["post_id"].to_pylist(), posts["text_key"].to_pylist(), strict=True):
        signs[post] = [f"text {key}"] if key >= 0 else []
    for post, sign in zip(media["post_id"].to_pylist(), media_digests(media), strict=True):
        if post in signs:
            signs[post].append(sign)
    signatures = ["|".join(sorted(post_signs)) for post_signs in signs.values() if post_signs]
    return len(signatures) - len(set(signatures))


def media_digests(media: pa.Table) -> list[str]:
    """Of each medium, words that are equal where two look the same, or are the same bytes."""
    looks = media["look"].to_pylist()
    rows = [row for row, look in enumerate(looks) if look is not None]
    content = b"".join(looks[row] for row in rows)
    groups = near_duplicates(np.frombuffer(content, dtype=np.uint64).reshape(-1, _WORDS))
    signs = [(digest or b"").hex() for digest in media["digest"].to_pylist()]
    for row, group in zip(rows, groups.tolist(), strict=True):
        signs[row] = f"look {group}"
    return signs
