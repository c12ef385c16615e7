"""Checks of the arrays that describe trees, before anything walks along them."""

from typing import Any

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


class BoosterError(ValueError):
    """A file of boosted trees that cannot be served; the message names field, bound and value."""


def check_nodes(
    roots: Indices, left: Indices, right: Indices, feature: Indices, feature_count: int
) -> None:
    """Refuse arrays along which a walk from a root could leave the nodes or never end.

    Every node has one parent at most and a root has none, so whatever a root reaches is a tree.

    Args:
        roots: (trees,) index of each tree's first node, rising from 0.
        left: (nodes,) index of the left child within all nodes; -1 at a leaf.
        right: (nodes,) the same of the right child; -1 where `left` is.
        feature: (nodes,) feature that a split reads; ignored at a leaf.
        feature_count: how many features there are.

    Raises:
        BoosterError: an index lies outside, or a node has two parents; the message names both.
    """
    count = len(left)
    for name, values in (("right children", right), ("split features", feature)):
        if len(values) != count:
            raise BoosterError(f"trees: {count:,} left children but {len(values):,} {name}")
    if not len(roots) or roots[0] != 0 or (np.diff(roots) <= 0).any() or roots[-1] >= count:
        raise BoosterError(f"trees: first nodes must rise from 0 and lie below {count:,}")
    leaf = left < 0
    _within("leaf's right child", right[leaf], -1, -1)
    _within("leaf's left child", left[leaf], -1, -1)
    _within("split feature", feature[~leaf], 0, feature_count - 1)
    tree = np.searchsorted(roots, np.arange(count), side="right") - 1
    ends = np.append(roots[1:], count)
    children = np.concatenate([left[~leaf], right[~leaf]])
    _within("child", children, 0, count - 1)
    owners = np.concatenate([tree[~leaf], tree[~leaf]])
    outside = (children < roots[owners]) | (children >= ends[owners])
    if outside.any():
        raise BoosterError(f"trees: child {children[outside][0]} belongs to another tree")
    parents = np.bincount(children, minlength=count)
    parents[roots] += 1
    if (parents > 1).any():
        node = int(np.argmax(parents > 1))
        raise BoosterError(f"trees: node {node:,} has more than one way to it; expected a tree")


def check_finite(name: str, values: npt.NDArray[Any]) -> None:
    """Refuse NaN and infinity.

    Raises:
        BoosterError: with the first of them.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        raise BoosterError(f"{name}: expected finite numbers, got {values[bad][0]}")


def _within(name: str, values: Indices, low: int, high: int) -> None:
    outside = (values < low) | (values > high)
    if outside.any():
        raise BoosterError(
            f"trees: {name}: expected {low:,} to {high:,}, got {int(values[outside][0]):,}"
        )
