"""Rules: the front node of every system. See `load_rules` and, for the language, `expression`."""

from lib.rules.exploration import ExplorationSample
from lib.rules.expression import read_expression
from lib.rules.loading import load_rules
from lib.rules.problems import Problem, RowError, RuleError
from lib.rules.ruleset import NO_RULE, Rule, RuleSet, RuleVersion, Status, Verdict
from lib.rules.scanner import ExpressionError

__all__ = [
    "NO_RULE",
    "ExplorationSample",
    "ExpressionError",
    "Problem",
    "RowError",
    "Rule",
    "RuleError",
    "RuleSet",
    "RuleVersion",
    "Status",
    "Verdict",
    "load_rules",
    "read_expression",
]
