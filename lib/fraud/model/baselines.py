"""What the model has to beat, on the same rows: the rules alone, a linear model and a forest."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import Floats, Matrix, fit_standardiser
from lib.fraud.model.sample import Sample, refuse_one_class
from lib.fraud.rules import ACTIONS, RULES_FILE, rule_fields
from lib.rules import load_rules


def baseline_scores(
    train: Sample, matrix: Matrix, seed: int, threads: int, most_good: int = 200_000
) -> dict[str, Floats]:
    """Scores (rows,) of `matrix` by each baseline fitted on `train`; higher is riskier.

    Both read the network's standardised inputs. Of more than `most_good` good payments a random
    part is taken: they change a baseline's ranking little and its time much.
    """
    refuse_one_class(train.labels)
    share = min(1.0, most_good / max(int((~train.labels).sum()), 1))
    drawn = train.labels | (np.random.default_rng(seed).random(len(train)) < share)
    sample = train.rows(drawn)
    standardiser = fit_standardiser(sample.matrix)
    inputs, test_inputs = standardiser.apply(sample.matrix), standardiser.apply(matrix)
    linear = LogisticRegression(max_iter=300)
    forest = RandomForestClassifier(
        100, min_samples_leaf=3, n_jobs=threads or -1, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear.fit(inputs, sample.labels)
    forest.fit(inputs, sample.labels)
    return {
        "logistic regression": np.asarray(linear.decision_function(test_inputs), dtype=np.float64),
        "random forest": np.asarray(forest.predict_proba(test_inputs)[:, 1], dtype=np.float64),
    }


@dataclass(frozen=True)
class RuleAnswers:
    """Highest confidence of the active rules that hit (n,), and their hardest action (n,)."""

    scores: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.int64]


def rule_answers(table: pa.Table) -> RuleAnswers:
    """What the rules in front of the model say about payments with features, in their order."""
    text = RULES_FILE.read_text(encoding="utf-8")
    rules = load_rules(text, rule_fields(FRAUD.names), actions=ACTIONS)
    active = [rule for rule in rules.rules if rule.status == "active"]
    hits = rules.evaluate_table(table)
    scores = np.zeros(table.num_rows)
    decisions = np.zeros(table.num_rows, dtype=np.int64)
    for rule in active:
        mask = np.asarray(hits[rule.id])
        scores = np.where(mask, np.maximum(scores, rule.confidence), scores)
        decisions = np.where(mask, np.maximum(decisions, ACTIONS.index(rule.action)), decisions)
    return RuleAnswers(scores, decisions)
