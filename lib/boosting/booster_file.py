"""A booster from its file, once what it holds cannot lead XGBoost out of its own arrays.

XGBoost trusts the indices, sizes and types that stand in a file: a wrong one ends the process. So a
file is decoded here, each number is checked, and XGBoost reads a new document of these numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from lib.boosting.node_check import BoosterError, check_finite, check_nodes
from lib.boosting.ubjson import decode, encode

OBJECTIVE = "binary:logistic"
_NODE_ARRAYS = (
    dict.fromkeys(("left_children", "right_children", "parents", "split_indices"), ">i4")
    | dict.fromkeys(("split_conditions", "base_weights", "loss_changes", "sum_hessian"), ">f4")
    | dict.fromkeys(("split_type", "default_left"), ">u1")
)
"""Arrays of a tree, each with the one type that XGBoost reads it as."""
_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_NO_PARENT = 2**31 - 1
_MOST_TREES, _MOST_NODES = 100_000, 20_000_000


def read_booster(content: bytes, feature_count: int, threads: int = 1) -> xgb.Booster:
    """The booster in a UBJ file of XGBoost 2 or 3: numeric splits, one output, log-odds.

    Args:
        content: of the file.
        feature_count: features that the model is served with.
        threads: of one call.

    Raises:
        BoosterError: not such a file, or one whose numbers contradict each other.
    """
    try:
        document = checked_document(decode(content), feature_count)
    except (TypeError, AttributeError, OverflowError) as error:
        raise BoosterError(f"a field of a booster is of another kind: {error}") from error
    booster = xgb.Booster({"nthread": threads})
    booster.load_model(bytearray(encode(document)))
    return booster


def checked_document(model: Any, feature_count: int) -> dict[str, Any]:
    """A document of the checked numbers of a decoded booster, and of nothing else.

    Raises:
        BoosterError: a field is absent, of another kind or outside its bounds.
    """
    learner = _section(model, "learner")
    booster = _section(learner, "gradient_booster")
    for name, section, expected in (
        ("objective", _section(learner, "objective"), OBJECTIVE),
        ("gradient_booster", booster, "gbtree"),
    ):
        if section.get("name") != expected:
            raise BoosterError(f"{name}: expected {expected}, got {section.get('name')!r:.60}")
    trees = _checked_trees(_section(booster, "model"), feature_count)
    return {
        "learner": {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": {"model": trees, "name": "gbtree"},
            "learner_model_param": _outputs(learner, feature_count),
            "objective": {"name": OBJECTIVE, "reg_loss_param": {"scale_pos_weight": "1"}},
        },
        "version": _version(model),
    }


def _version(model: Mapping[str, Any]) -> list[int]:
    numbers = [int(number) for number in _entry(model, "version", list | np.ndarray)]
    if len(numbers) != 3 or numbers[0] not in {2, 3} or not 0 <= min(numbers) <= max(numbers) < 100:
        raise BoosterError(f"version: expected XGBoost 2 or 3, got {numbers}")
    return numbers


def _outputs(learner: Mapping[str, Any], feature_count: int) -> dict[str, str]:
    parameters = _section(learner, "learner_model_param")
    expected = {"num_feature": feature_count, "num_class": 0, "num_target": 1}
    for name, number in expected.items():
        _exactly(parameters, name, number)
    text = _entry(parameters, "base_score", str)
    try:
        base = float(text.strip("[]"))
    except ValueError as error:
        raise BoosterError(f"base_score: expected a number, got {text!r:.60}") from error
    if not 0.0 < base < 1.0:
        raise BoosterError(f"base_score: expected a share between 0 and 1, got {text!r:.60}")
    numbers = {name: str(number) for name, number in expected.items()}
    return {**numbers, "base_score": text, "boost_from_average": "0"}


def _checked_trees(model: Mapping[str, Any], feature_count: int) -> dict[str, Any]:
    trees = _entry(model, "trees", list)
    if not 0 < len(trees) <= _MOST_TREES:
        raise BoosterError(f"trees: expected 1 to {_MOST_TREES:,}, got {len(trees):,}")
    arrays = [_checked_tree(tree, number) for number, tree in enumerate(trees)]
    _check_walks(arrays, feature_count)
    starts = _round_starts(model, len(trees))
    document = {
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
        "iteration_indptr": starts,
        "tree_info": [0] * len(trees),
        "trees": [_tree(tree, number, feature_count) for number, tree in enumerate(arrays)],
    }
    if xgb.__version__.startswith("3."):
        none = np.zeros(0, dtype=">i4")
        document["cats"] = {"enc": [], "feature_segments": none, "sorted_idx": none}
    return document


def _round_starts(model: Mapping[str, Any], trees: int) -> list[int]:
    """First tree of each round of boosting, and the number of trees."""
    starts = [int(start) for start in model.get("iteration_indptr", range(trees + 1))]
    if not starts or starts[0] != 0 or starts[-1] != trees or sorted(starts) != starts:
        raise BoosterError(f"iteration_indptr: expected numbers that rise from 0 to {trees}")
    if np.asarray(model.get("tree_info", ())).any():
        raise BoosterError("tree_info: expected a 0 for each tree: one output")
    return starts


def _tree(arrays: Mapping[str, Any], number: int, feature_count: int) -> dict[str, Any]:
    parameters = {
        "num_deleted": "0",
        "num_feature": str(feature_count),
        "num_nodes": str(len(arrays["left_children"])),
        "size_leaf_vector": "1",
    }
    none = dict.fromkeys(_CATEGORIES, np.zeros(0, dtype=">i4"))
    segments = dict.fromkeys(("categories_segments", "categories_sizes"), np.zeros(0, dtype=">i8"))
    return {**arrays, **none, **segments, "id": number, "tree_param": parameters}


def _checked_tree(tree: Any, number: int) -> dict[str, npt.NDArray[Any]]:
    """One tree's own arrays, as many numbers in each as it has nodes."""
    if not isinstance(tree, dict):
        raise BoosterError(f"trees.{number}: expected a section, got {type(tree).__name__}")
    arrays = {name: _array(tree, name, number) for name in _NODE_ARRAYS}
    nodes = len(arrays["left_children"])
    for name, values in arrays.items():
        if len(values) != nodes or not nodes:
            raise BoosterError(
                f"trees.{number}.{name}: expected {nodes:,} nodes, got {len(values):,}"
            )
    if arrays["split_type"].any() or any(len(tree.get(name, ())) for name in _CATEGORIES):
        raise BoosterError(f"trees.{number}: categorical splits are not served")
    for name in ("split_conditions", "base_weights", "sum_hessian"):
        if np.isnan(arrays[name]).any():
            raise BoosterError(f"trees.{number}.{name}: expected numbers, got NaN")
    leaves = arrays["split_conditions"][arrays["left_children"] == -1]
    check_finite(f"trees.{number}: leaf", leaves)
    return arrays


def _check_walks(trees: list[dict[str, npt.NDArray[Any]]], feature_count: int) -> None:
    """Refuses children, parents and features along which a walk would leave a tree."""
    sizes = [len(tree["left_children"]) for tree in trees]
    if sum(sizes) > _MOST_NODES:
        raise BoosterError(f"trees: expected at most {_MOST_NODES:,} nodes, got {sum(sizes):,}")
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    shift = np.repeat(roots, sizes)
    left, right, parents, feature = (
        np.concatenate([tree[name] for tree in trees]).astype(np.int64)
        for name in ("left_children", "right_children", "parents", "split_indices")
    )
    inner = [np.where(side == -1, -1, side + shift) for side in (left, right)]
    check_nodes(roots, inner[0], inner[1], feature, feature_count)
    if (parents[roots] != _NO_PARENT).any():
        raise BoosterError("trees: the first node of a tree names a parent; expected none")
    nodes, splits = np.arange(len(left)) - shift, left != -1
    for side in inner:
        if (parents[side[splits]] != nodes[splits]).any():
            raise BoosterError("trees: a child names another parent than the one that leads to it")


def _array(tree: Mapping[str, Any], name: str, number: int) -> npt.NDArray[Any]:
    values, kind = tree.get(name), np.dtype(_NODE_ARRAYS[name])
    if not isinstance(values, np.ndarray) or values.dtype != kind:
        raise BoosterError(f"trees.{number}.{name}: expected an array of {kind.name}")
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
