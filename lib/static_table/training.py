"""From checked rows to a model, its measures and what its attributes tell by themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.boosting.parameters import TreeSettings
from lib.calibration import fit_calibrator
from lib.static_table.attributes import AttributeSet, freeze_attributes
from lib.static_table.baselines import logistic_probabilities
from lib.static_table.contracts import GROUP, LABEL, is_named_as_outcome
from lib.static_table.evaluation import (
    LOGISTIC,
    PREVALENCE,
    WITHOUT_LEAKS,
    Evaluation,
    evaluate,
)
from lib.static_table.fitting import choose_trees, fit_trees
from lib.static_table.model import TableModel, missing_shares
from lib.static_table.single_columns import ColumnSignal, best_single, column_signals
from lib.static_table.split import Split, SplitSettings, split_rows
from lib.static_table.table_mapping import TableMapping

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainingRows:
    """A table as a training sees it.

    Attributes:
        table: rows that passed their contract.
        labels: (rows,) 0/1.
        inputs: attributes, frozen on the rows to learn from.
        matrix: (rows, attributes), encoded.
        split: of the rows.
    """

    table: pa.Table
    labels: Floats
    inputs: AttributeSet
    matrix: Floats
    split: Split


@dataclass(frozen=True)
class Trained:
    """A fitted model with all that a report tells of it."""

    model: TableModel
    rows: TrainingRows
    signals: tuple[ColumnSignal, ...]
    evaluation: Evaluation

    @property
    def leaks(self) -> dict[str, str]:
        """Why attributes are likely leaks, by name."""
        return {signal.name: signal.leak for signal in self.signals if signal.leak}

    @property
    def strong(self) -> dict[str, float]:
        """AUC of attributes that alone come near to a leak, by name."""
        return {signal.name: signal.auc for signal in self.signals if signal.is_strong}


def training_rows(
    table: pa.Table,
    mapping: TableMapping,
    left_out: Mapping[str, str],
    settings: SplitSettings,
    seed: int,
) -> TrainingRows:
    """The table split, and its attributes frozen and encoded.

    Args:
        table: rows that passed their contract.
        mapping: that read them.
        left_out: attributes that are no inputs, with the reason.
        settings: of the split.
        seed: of the split.

    Raises:
        ContractError: too few rows of a label, or no attribute is left.
    """
    labels = np.asarray(table[LABEL].to_numpy(), dtype=np.float64)
    has_groups = GROUP in table.column_names and table[GROUP].null_count < table.num_rows
    groups = np.array(table[GROUP].to_pylist(), dtype=np.object_) if has_groups else None
    split = split_rows(labels, groups, settings, seed)
    inputs = freeze_attributes(table.take(pa.array(split.train)), mapping, left_out)
    return TrainingRows(table, labels, inputs, inputs.encode(table), split)


def table_signals(rows: TrainingRows, mapping: TableMapping) -> tuple[ColumnSignal, ...]:
    """What each attribute tells by itself, by its values or else by its name."""
    return tuple(
        _by_name(signal, mapping.source_of(signal.name))
        for signal in column_signals(rows.inputs, rows.matrix, rows.labels, rows.split)
    )


def fit_model(
    system: str,
    rows: TrainingRows,
    mapping: TableMapping,
    candidates: Mapping[str, TreeSettings],
    seed: int,
) -> TableModel:
    """Trees of the part to learn from, calibrated on the part to calibrate on."""
    train, calibrate = rows.split.train, rows.split.calibrate
    matrix, labels = rows.matrix[train], rows.labels[train]
    choice = choose_trees(matrix, labels, candidates, seed)
    trees = fit_trees(matrix, labels, candidates[choice.name], choice.trees, seed)
    return TableModel(
        system=system,
        inputs=rows.inputs,
        trees=trees,
        calibrator=fit_calibrator(trees.log_odds(rows.matrix[calibrate]), rows.labels[calibrate]),
        missing=missing_shares(matrix),
        mapping_text=mapping.text,
        settings=choice.name,
    )


def train_table(
    system: str,
    rows: TrainingRows,
    mapping: TableMapping,
    candidates: Mapping[str, TreeSettings],
    seed: int,
    repeats: int,
    step: Callable[[str], None] = lambda _text: None,
) -> Trained:
    """The model, measured on the test beside baselines.

    Args:
        system: whose rows they are.
        rows: as of `training_rows`.
        mapping: that read them.
        candidates: settings of the trees, by name.
        seed: of all draws.
        repeats: draws of the intervals.
        step: is called with what begins now, in words.
    """
    step("looking at each column alone")
    signals = table_signals(rows, mapping)
    step("growing trees")
    model = fit_model(system, rows, mapping, candidates, seed)
    baselines = _baselines(rows, signals)
    leaks = {signal.name for signal in signals if signal.leak}
    kept = [k for k, name in enumerate(rows.inputs.names) if name not in leaks]
    if leaks and kept:
        step("growing trees without the likely leaks")
        honest = replace(
            rows,
            inputs=AttributeSet(tuple(rows.inputs.attributes[k] for k in kept)),
            matrix=rows.matrix[:, kept],
        )
        other = fit_model(system, honest, mapping, candidates, seed)
        baselines[WITHOUT_LEAKS] = other.probabilities(honest.matrix[rows.split.test])
    step("measuring on the rows of the test")
    test = rows.split.test
    evaluation = evaluate(
        model, rows.matrix[test], rows.labels[test], rows.split.groups[test], baselines, seed,
        repeats,
    )  # fmt: skip
    return Trained(model, rows, signals, evaluation)


def _by_name(signal: ColumnSignal, source: str) -> ColumnSignal:
    """The same, a likely leak too where its values do not show it and its name does."""
    if signal.leak or not is_named_as_outcome(source):
        return signal
    return replace(signal, leak="by its name it is a label, or follows from it")


def _baselines(rows: TrainingRows, signals: tuple[ColumnSignal, ...]) -> dict[str, Floats]:
    train, test = rows.split.train, rows.split.test
    labels = rows.labels[train]
    single = best_single(signals, rows.labels, rows.split)
    return {
        PREVALENCE: np.full(len(test), labels.mean()),
        f"{single.name} alone": single.scores[test],
        LOGISTIC: logistic_probabilities(
            rows.inputs, rows.matrix[train], labels, rows.matrix[test]
        ),
    }
