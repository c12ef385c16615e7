"""Splits that keep together what belongs together: an author's posts, clips of one film."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.moderation.model.outputs import Ints


def split_groups(
    kinds: Sequence[str], groups: Sequence[int] | Ints, shares: Sequence[float], seed: int
) -> tuple[Ints, ...]:
    """Rows in parts of about the given shares such that no group is in two parts.

    Groups are dealt out largest first, each to the part that lacks most of its kind.

    Args:
        kinds: of each row.
        groups: of each row, e.g. clips cut from one film.
        shares: of each part, adding up to 1.
        seed: of the order among groups of one size.
    """
    names = sorted(set(kinds))
    codes = np.array([names.index(kind) for kind in kinds], dtype=np.int64)
    owners = np.unique(np.asarray(groups), return_inverse=True)[1]
    quotas = np.outer(shares, np.bincount(codes, minlength=len(names)))
    rng = np.random.default_rng(seed)
    counts = np.zeros((int(owners.max()) + 1, len(names)), dtype=np.int64)
    np.add.at(counts, (owners, codes), 1)
    lots = rng.random(len(counts))
    part = np.zeros(len(counts), dtype=np.int64)
    for group in np.lexsort((lots, -counts.sum(axis=1))).tolist():
        lack = (quotas * counts[group]).sum(axis=1) / counts[group].sum()
        part[group] = int(np.argmax(lack))
        quotas[part[group]] -= counts[group]
    return tuple(np.flatnonzero(part[owners] == k) for k in range(len(shares)))
