"""Both halves and the meta-learner as one ONNX graph, so that a payment costs one call."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from lib.fraud.model.forest import Forest
from lib.fraud.model.inputs import Standardiser
from lib.fraud.model.numpy_mlp import DenseNetwork, Networks
from lib.fraud.model.stacking import MetaLearner

OPSET = 17
TREE_OPSET = 3
_CLIP = 8.0


def build_graph(forest: Forest, networks: Networks, meta: MetaLearner) -> bytes:
    """Serialised graph: features (rows, d) float32 -> log_odds (rows, 1).

    NaN in features is missing. Split values, weights and scales are the stored float32 numbers
    themselves, so the graph answers as the models do but for the order of sums.
    """
    drawing = _GraphBuilder()
    trees = drawing.forest(forest)
    inputs = drawing.standardise(networks.standardiser)
    logits = [drawing.network(member, inputs) for member in networks.members]
    network = logits[0] if len(logits) == 1 else drawing.node("Mean", *logits)
    weighted = drawing.node(
        "Add",
        drawing.node("Mul", trees, drawing.number(meta.trees)),
        drawing.node("Mul", network, drawing.number(meta.network)),
    )
    total = drawing.node("Add", weighted, drawing.number(meta.intercept))
    return drawing.finished(total, len(networks.standardiser.mean))


class _GraphBuilder:
    """A graph under construction: nodes and constants so far."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: npt.NDArray[np.generic]) -> str:
        """Name of a new constant tensor."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def number(self, value: float) -> str:
        """Name of a new float32 scalar."""
        return self.constant(np.array(value, dtype=np.float32))

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Name of the one output of a new node."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def standardise(self, standardiser: Standardiser) -> str:
        """The arithmetic of `Standardiser.apply`, operation by operation."""
        size = self.node("Add", self.node("Abs", "features"), self.number(1.0))
        logs = self.node("Mul", self.node("Sign", "features"), self.node("Log", size))
        folded = self.node("Where", self.constant(standardiser.folded), logs, "features")
        centred = self.node("Sub", folded, self.constant(standardiser.mean))
        scaled = self.node("Div", centred, self.constant(standardiser.scale))
        absent = self.node("IsNaN", "features")
        filled = self.node("Where", absent, self.number(0.0), scaled)
        clipped = self.node("Clip", filled, self.number(-_CLIP), self.number(_CLIP))
        if not len(standardiser.indicators):
            return clipped
        flags = self.node("Gather", absent, self.constant(standardiser.indicators), axis=1)
        numbers = self.node("Cast", flags, to=TensorProto.FLOAT)
        return self.node("Concat", clipped, numbers, axis=1)

    def network(self, member: DenseNetwork, inputs: str) -> str:
        """One network's log-odds."""
        values = inputs
        for index, (weight, bias) in enumerate(zip(member.weights, member.biases, strict=True)):
            values = self.node("Gemm", values, self.constant(weight), self.constant(bias))
            if index < len(member.weights) - 1:
                values = self.node("Relu", values)
        return values

    def forest(self, forest: Forest) -> str:
        """Mean log-odds of the boosters, as one tree ensemble node."""
        leaf = forest.feature < 0
        tree = np.searchsorted(forest.roots, np.arange(len(leaf)), side="right") - 1
        within = np.arange(len(leaf)) - forest.roots[tree]
        root = forest.roots[tree]
        name = f"n{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                "TreeEnsembleRegressor",
                ["features"],
                [name],
                domain="ai.onnx.ml",
                n_targets=1,
                aggregate_function="SUM",
                post_transform="NONE",
                nodes_treeids=tree.tolist(),
                nodes_nodeids=within.tolist(),
                nodes_featureids=np.where(leaf, 0, forest.feature).tolist(),
                nodes_modes=np.where(leaf, "LEAF", "BRANCH_LT").tolist(),
                nodes_values=forest.threshold.tolist(),
                nodes_truenodeids=np.where(leaf, 0, forest.left - root).tolist(),
                nodes_falsenodeids=np.where(leaf, 0, forest.right - root).tolist(),
                nodes_missing_value_tracks_true=(forest.missing_left & ~leaf).astype(int).tolist(),
                nodes_hitrates=[1.0] * len(leaf),
                target_treeids=tree[leaf].tolist(),
                target_nodeids=within[leaf].tolist(),
                target_ids=[0] * int(leaf.sum()),
                target_weights=forest.value[leaf].tolist(),
            )
        )
        share = self.node("Div", name, self.number(float(forest.boosters)))
        return self.node("Add", share, self.number(forest.base)) if forest.base else share

    def finished(self, total: str, width: int) -> bytes:
        """The checked model, serialised."""
        self.nodes.append(helper.make_node("Identity", [total], ["log_odds"]))
        graph = helper.make_graph(
            self.nodes,
            "fraud",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info("log_odds", TensorProto.FLOAT, [None, 1])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREE_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
