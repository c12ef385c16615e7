"""Boosted trees as flat arrays: for the served graph and for cheap explanations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.boosting.node_check import BoosterError, check_finite, check_nodes
from lib.fraud.model.inputs import Flags, Floats, Matrix

Places = npt.NDArray[np.int64]
_INDICES = ("roots", "feature", "left", "right")
_NODE_VALUES = ("threshold", "missing_left", "value")


@dataclass(frozen=True)
class Forest:
    """All trees of all boosters, node beside node.

    A row goes left where `value < threshold`, and where the value is missing to its default side.

    Args:
        roots: (trees,) place of each tree's first node.
        feature: (nodes,) which feature a split reads; -1 at a leaf.
        threshold: (nodes,) float32 split value; 0 at a leaf.
        left: (nodes,) place of the left child; -1 at a leaf.
        right: (nodes,) place of the right child; -1 at a leaf.
        missing_left: (nodes,) whether a missing value goes left.
        value: (nodes,) float32: a leaf's log-odds, a split's mean over the rows it saw.
        boosters: how many boosters share the trees; their log-odds are averaged.
        base: log-odds that each booster starts from.
    """

    roots: Places
    feature: Places
    threshold: Matrix
    left: Places
    right: Places
    missing_left: Flags
    value: Matrix
    boosters: int
    base: float

    def contributions(self, row: Matrix) -> Floats:
        """What each feature adds to the log-odds of one row, in log-odds.

        Along each tree's path, the change of the node's mean goes to the feature that was split
        on: Saabas, Interpreting random forests (2014), which is XGBoost's `approx_contribs`. It
        adds up to the score exactly, and costs a hundredth of exact Shapley values, to which it
        leans: splits near the root get a little less than their share (Lundberg et al., 2018).

        Args:
            row: (features,) float32, NaN is missing.
        """
        sums = np.zeros(len(row))
        nodes = self.roots
        while len(nodes := nodes[self.feature[nodes] >= 0]):
            read = self.feature[nodes]
            values = row[read]
            goes_left = np.where(
                np.isnan(values), self.missing_left[nodes], values < self.threshold[nodes]
            )
            children = np.where(goes_left, self.left[nodes], self.right[nodes])
            steps = self.value[children].astype(np.float64) - self.value[nodes]
            sums += np.bincount(read, weights=steps, minlength=len(row))
            nodes = children
        return sums / self.boosters

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Named arrays for a safetensors file."""
        return {
            **{name: getattr(self, name) for name in (*_INDICES, *_NODE_VALUES)},
            "boosters": np.array([self.boosters], dtype=np.int64),
            "base": np.array([self.base], dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], feature_count: int) -> "Forest":
        """The forest that `to_arrays` described, over `feature_count` features.

        Raises:
            KeyError: an array is missing.
            BoosterError: a walk from a root would leave the nodes, or never end.
        """
        indices = {name: arrays[name].astype(np.int64) for name in _INDICES}
        forest = cls(
            **indices,
            threshold=arrays["threshold"].astype(np.float32),
            missing_left=arrays["missing_left"].astype(np.bool_),
            value=arrays["value"].astype(np.float32),
            boosters=int(arrays["boosters"][0]),
            base=float(arrays["base"][0]),
        )
        forest.check(feature_count)
        return forest

    def check(self, feature_count: int) -> None:
        """Refuse nodes along which a walk from a root could leave the arrays or never end.

        Raises:
            BoosterError: with the array and what stands in it.
        """
        check_nodes(self.roots, self.left, self.right, self.feature, feature_count)
        for name in _NODE_VALUES:
            if len(getattr(self, name)) != len(self.left):
                raise BoosterError(f"trees: {name}: expected {len(self.left):,} nodes")
        if ((self.feature < 0) != (self.left < 0)).any():
            raise BoosterError("trees: a split reads no feature, or a leaf reads one")
        check_finite("trees: value", self.value)
        if np.isnan(self.threshold).any() or not np.isfinite(self.base) or self.boosters < 1:
            raise BoosterError("trees: threshold, base and boosters must be numbers")


def read_forest(boosters: Sequence[bytes]) -> Forest:
    """Flat arrays of boosters in XGBoost's JSON model format, version 2.

    Only numeric splits and one output are understood; categorical splits are refused.
    """
    models = [json.loads(content)["learner"] for content in boosters]
    trees = [tree for model in models for tree in model["gradient_booster"]["model"]["trees"]]
    if not trees:
        raise ValueError("forest: expected at least one tree")
    if any(tree["categories"] for tree in trees):
        raise ValueError("forest: categorical splits are not served; encode categories as numbers")
    sizes = np.array([len(tree["left_children"]) for tree in trees])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    shift = np.repeat(roots, sizes)
    left, right = _column(trees, "left_children"), _column(trees, "right_children")
    leaf = left < 0
    splits = np.concatenate([np.array(t["split_conditions"], dtype=np.float32) for t in trees])
    return Forest(
        roots=roots.astype(np.int64),
        feature=np.where(leaf, -1, _column(trees, "split_indices")),
        threshold=np.where(leaf, np.float32(0.0), splits),
        left=np.where(leaf, -1, left + shift),
        right=np.where(leaf, -1, right + shift),
        missing_left=_column(trees, "default_left").astype(np.bool_),
        value=np.concatenate([_node_values(tree) for tree in trees]),
        boosters=len(models),
        base=_base(models[0]),
    )


def _column(trees: Sequence[Mapping[str, Any]], name: str) -> Places:
    """One whole-number column of all trees."""
    return np.concatenate([np.array(tree[name], dtype=np.int64) for tree in trees])


def _node_values(tree: Mapping[str, Any]) -> Matrix:
    """Leaf values, and for each split the mean of its children weighted by their hessians."""
    left, right = tree["left_children"], tree["right_children"]
    cover = tree["sum_hessian"]
    values = np.array(tree["split_conditions"], dtype=np.float64)
    for node in reversed(range(len(left))):
        if left[node] >= 0:
            pair = (left[node], right[node])
            total = cover[pair[0]] + cover[pair[1]]
            share = cover[pair[0]] / total if total > 0 else 0.5
            values[node] = share * values[pair[0]] + (1 - share) * values[pair[1]]
    return values.astype(np.float32)


def _base(model: Mapping[str, Any]) -> float:
    """Log-odds of `base_score`, which is kept as a probability."""
    # XGBoost 3 writes a list, as it may have several outputs
    share = float(model["learner_model_param"]["base_score"].strip("[]"))
    return float(np.log(share) - np.log1p(-share))
