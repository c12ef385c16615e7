"""The five rules that ship for fraud."""

import math

import pytest

from lib.fraud.features import FRAUD
from lib.fraud.rules import RULES_FILE, rule_fields
from lib.rules import RuleSet, load_rules

QUIET = dict.fromkeys(FRAUD.names, 0.0)


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(RULES_FILE.read_text(), rule_fields(FRAUD.names), source=RULES_FILE.name)


def test_a_quiet_payment_is_left_to_the_model(rules: RuleSet) -> None:
    assert rules.evaluate(QUIET).action is None


def test_a_payment_without_any_history_is_left_to_the_model(rules: RuleSet) -> None:
    assert rules.evaluate(dict.fromkeys(FRAUD.names, math.nan)).action is None


@pytest.mark.parametrize(
    ("values", "rule_id", "confidence"),
    [
        ({"amount_zscore": 10.1, "txn_count_by_user_30d": 5}, "amount_far_above_usual", 0.99),
        ({"impossible_velocity": 1}, "impossible_travel", 0.95),
        ({"txn_count_by_user_1h": 11}, "burst_of_payments", 0.90),
        ({"fraud_rate_by_device_30d": 0.51}, "device_known_for_fraud", 0.85),
        ({"fraud_rate_by_merchant_30d": 0.31}, "merchant_known_for_fraud", 0.75),
    ],
)
def test_each_rule_declines_past_its_limit(
    rules: RuleSet, values: dict[str, float], rule_id: str, confidence: float
) -> None:
    verdict = rules.evaluate(QUIET | values)
    assert (verdict.action, verdict.rule_id) == ("DECLINE", rule_id)
    assert verdict.confidence == confidence


@pytest.mark.parametrize(
    "values",
    [
        {"amount_zscore": 10, "txn_count_by_user_30d": 5},
        {"amount_zscore": 11, "txn_count_by_user_30d": 4},
        {"txn_count_by_user_1h": 10},
        {"fraud_rate_by_device_30d": 0.5},
        {"fraud_rate_by_merchant_30d": 0.3},
    ],
)
def test_no_rule_fires_at_its_limit(rules: RuleSet, values: dict[str, float]) -> None:
    assert rules.evaluate(QUIET | values).hits == ()


def test_no_rule_can_be_evaluated_from_the_payment_alone(rules: RuleSet) -> None:
    assert rules.restrict({"amount", "currency", "hour_of_day"}).rules == ()
