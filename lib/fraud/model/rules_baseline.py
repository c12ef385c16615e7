"""The rules alone, as scores and decisions on the test payments."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.fraud.features import FRAUD
from lib.fraud.rules import ACTIONS, RULES_FILE, rule_fields
from lib.rules import load_rules


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
