"""A booster from its file, once what it holds cannot lead XGBoost out of its own arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from lib.boosting.error import BoosterError
from lib.boosting.node_check import check_finite, check_nodes
from lib.boosting.ubjson import decode

_OBJECTIVES = ("binary:logistic",)
_NODE_ARRAYS = (
    "left_children", "right_children", "parents", "split_indices", "split_conditions", "split_type",
    "default_left", "base_weights", "loss_changes", "sum_hessian",
)  # fmt: skip
_EMPTY = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_MOST_TREES, _MOST_NODES = 100_000, 20_000_000


def read_booster(content: bytes, feature_count: int, threads: int = 1) -> xgb.Booster:
    """The booster in a UBJ file of XGBoost 2 or 3: numeric splits, one output, log-odds.

    XGBoost itself trusts indices of a file: one that lies outside ends the process.

    Args:
        content: of the file.
        feature_count: features that the model is served with.
        threads: of one call.

    Raises:
        BoosterError: not such a file, or one whose numbers contradict each other.
    """
    try:
        check_booster(decode(content), feature_count)
    except (TypeError, AttributeError, OverflowError) as error:
        raise BoosterError(f"a field of a booster is of another kind: {error}") from error
    booster = xgb.Booster({"nthread": threads})
    booster.load_model(bytearray(content))
    return booster


def check_booster(model: Any, feature_count: int) -> None:
    """Refuse a decoded booster that XGBoost could not be trusted to follow.

    Raises:
        BoosterError: a field is absent, of another kind or outside its bounds.
    """
    learner = _section(model, "learner")
    for name in ("feature_names", "feature_types"):
        if len(learner.get(name, ())) not in {0, feature_count}:
            raise BoosterError(f"{name}: expected {feature_count:,}, or none")
    objective = _entry(_section(learner, "objective"), "name", str)
    if objective not in _OBJECTIVES:
        raise BoosterError(f"objective: expected {', '.join(_OBJECTIVES)}, got {objective!r:.60}")
    _check_outputs(_section(learner, "learner_model_param"), feature_count)
    booster = _section(learner, "gradient_booster")
    name = _entry(booster, "name", str)
    if name != "gbtree":
        raise BoosterError(f"gradient_booster: expected gbtree, got {name!r:.60}")
    _check_model(_section(booster, "model"), feature_count)


def _check_outputs(parameters: Mapping[str, Any], feature_count: int) -> None:
    _exactly(parameters, "num_feature", feature_count)
    _exactly(parameters, "num_class", 0)
    _exactly(parameters, "num_target", 1)
    text = _entry(parameters, "base_score", str)
    try:
        base = float(text.strip("[]"))
    except ValueError as error:
        raise BoosterError(f"base_score: expected a number, got {text!r:.60}") from error
    if not 0.0 < base < 1.0:
        raise BoosterError(f"base_score: expected a share between 0 and 1, got {text!r:.60}")


def _check_model(model: Mapping[str, Any], feature_count: int) -> None:
    trees = _entry(model, "trees", list)
    if not 0 < len(trees) <= _MOST_TREES:
        raise BoosterError(f"trees: expected 1 to {_MOST_TREES:,}, got {len(trees):,}")
    _exactly(_section(model, "gbtree_model_param"), "num_trees", len(trees))
    _check_rounds(model, len(trees))
    if any(len(entry) for entry in model.get("cats", {}).values()):
        raise BoosterError("cats: categorical features are not served")
    sizes = [_check_tree(tree, number, feature_count) for number, tree in enumerate(trees)]
    if sum(sizes) > _MOST_NODES:
        raise BoosterError(f"trees: expected at most {_MOST_NODES:,} nodes, got {sum(sizes):,}")
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    shift = np.repeat(roots, sizes)
    left, right, parents, feature = (
        np.concatenate([np.asarray(tree[name], dtype=np.int64) for tree in trees])
        for name in ("left_children", "right_children", "parents", "split_indices")
    )
    leaf = left == -1
    inner = [np.where(side == -1, -1, side + shift) for side in (left, right)]
    check_nodes(roots, inner[0], inner[1], feature, feature_count)
    for side in (left, right):
        if (parents[(side + shift)[~leaf]] != (np.arange(len(left)) - shift)[~leaf]).any():
            raise BoosterError("trees: a child names another parent than the one that leads to it")


def _check_rounds(model: Mapping[str, Any], trees: int) -> None:
    groups = np.asarray(_entry(model, "tree_info", list | np.ndarray))
    if len(groups) != trees or groups.any():
        raise BoosterError("tree_info: expected a 0 for each tree: one output")
    if "iteration_indptr" in model:
        starts = np.asarray(model["iteration_indptr"])
        if starts.ndim != 1 or not len(starts) or starts[0] != 0 or starts[-1] != trees:
            raise BoosterError(f"iteration_indptr: expected 0 to {trees}")
        if (np.diff(starts) < 0).any():
            raise BoosterError("iteration_indptr: expected numbers that never fall")


def _check_tree(tree: Any, number: int, feature_count: int) -> int:
    """Checks one tree's own arrays; returns its nodes."""
    if not isinstance(tree, dict):
        raise BoosterError(f"trees.{number}: expected a section, got {type(tree).__name__}")
    parameters = _section(tree, "tree_param")
    arrays = {name: _array(tree, name, number) for name in _NODE_ARRAYS}
    nodes = len(arrays["left_children"])
    for name, values in arrays.items():
        if len(values) != nodes or not nodes:
            raise BoosterError(
                f"trees.{number}.{name}: expected {nodes:,} nodes, got {len(values):,}"
            )
    _exactly(parameters, "num_nodes", nodes)
    _exactly(parameters, "num_feature", feature_count)
    if str(parameters.get("size_leaf_vector", "1")) not in {"0", "1"}:
        raise BoosterError(f"trees.{number}.size_leaf_vector: expected one output")
    _check_values(arrays, number)
    if arrays["split_type"].any() or any(len(tree.get(name, ())) for name in _EMPTY):
        raise BoosterError(f"trees.{number}: categorical splits are not served")
    return nodes


def _check_values(arrays: Mapping[str, npt.NDArray[Any]], number: int) -> None:
    """A leaf adds a finite number; a split may lie at infinity, and neither is NaN."""
    values = arrays["split_conditions"]
    check_finite(f"trees.{number}: leaf", values[arrays["left_children"] == -1])
    for name in ("split_conditions", "base_weights", "sum_hessian"):
        if np.isnan(arrays[name]).any():
            raise BoosterError(f"trees.{number}.{name}: expected numbers, got NaN")


def _array(tree: Mapping[str, Any], name: str, number: int) -> npt.NDArray[Any]:
    values = np.asarray(tree.get(name))
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise BoosterError(f"trees.{number}.{name}: expected a list of numbers")
    return values


def _section(parent: Any, name: str) -> dict[str, Any]:
    return dict(_entry(parent, name, dict))


def _entry(parent: Any, name: str, kind: Any) -> Any:
    value = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(value, kind):
        raise BoosterError(f"{name}: expected a field of a booster, got {type(value).__name__}")
    return value


def _exactly(parameters: Mapping[str, Any], name: str, expected: int) -> None:
    text = str(parameters.get(name))
    if text != str(expected):
        raise BoosterError(f"{name}: expected {expected:,}, got {text!r:.60}")
