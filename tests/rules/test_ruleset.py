"""How a rule set decides, reports, passes, restricts and is replaced."""

import pyarrow as pa
import pytest

from lib.rules import NO_RULE, RowError, RuleSet, load_rules

FIELDS = {"amount": float, "visits": float, "country": str}


def rule(name: str, when: str, action: str = "DECLINE", **more: object) -> str:
    keys = {
        "id": name,
        "when": f"'{when}'",
        "action": action,
        "reason": f"because {name}",
        "confidence": 0.5,
        "owner": "ana",
        **more,
    }
    return "  - " + "\n    ".join(f"{key}: {value}" for key, value in keys.items())


def text_of(*rules: str, head: str = "version: 1") -> str:
    return "\n".join([head, "rules:", *rules])


def rule_set(*rules: str, head: str = "version: 1", key: bytes = b"") -> RuleSet:
    return load_rules(text_of(*rules, head=head), FIELDS, pass_key=key)


LARGE = rule("large", "amount > 100", priority=2)
ABROAD = rule("abroad", 'country != "DE"', "REVIEW", priority=1)
FRESH = rule("fresh", "visits == 0", "REVIEW", status="shadow", priority=0)


def test_the_first_active_rule_decides_and_all_hits_are_reported() -> None:
    verdict = rule_set(LARGE, ABROAD).evaluate({"amount": 500.0, "country": "FR"})
    assert (verdict.action, verdict.rule_id, verdict.reason) == (
        "REVIEW",
        "abroad",
        "because abroad",
    )
    assert verdict.hits == ("abroad", "large")


def test_a_shadow_rule_is_reported_but_never_decides() -> None:
    rules = rule_set(LARGE, FRESH)
    alone = rules.evaluate({"amount": 5.0, "visits": 0.0})
    assert (alone.action, alone.shadow_hits) == (None, ("fresh",))
    both = rules.evaluate({"amount": 500.0, "visits": 0.0})
    assert (both.action, both.hits, both.shadow_hits) == ("DECLINE", ("large",), ("fresh",))


def test_an_off_rule_is_not_evaluated_on_rows_but_is_on_tables() -> None:
    rules = rule_set(LARGE, rule("sleeping", "visits > 1", status="off"))
    assert rules.fields == {"amount"}
    assert rules.evaluate({"amount": 5.0}) == NO_RULE
    table = pa.table({"amount": [5.0, 500.0], "visits": [2.0, 0.0]})
    assert rules.evaluate_table(table).to_pydict() == {
        "large": [False, True],
        "sleeping": [True, False],
    }


def test_an_absent_field_is_an_error_and_not_a_missing_value() -> None:
    with pytest.raises(RowError, match="the row lacks country"):
        rule_set(ABROAD).evaluate({"amount": 5.0})
    with pytest.raises(RowError, match=r"'country' is absent \(rule abroad reads it\).*'count'"):
        rule_set(ABROAD).evaluate_table(pa.table({"count": [5.0]}))


def test_a_value_of_another_type_is_an_error() -> None:
    with pytest.raises(RowError, match="amount: a number is expected, got 'much'"):
        rule_set(LARGE).evaluate({"amount": "much"})
    with pytest.raises(RowError, match="'amount': a number is expected, got type string"):
        rule_set(LARGE).evaluate_table(pa.table({"amount": ["much"]}))


@pytest.mark.parametrize(
    "amounts",
    [
        pa.array([50, 500, None], pa.int64()),
        pa.array([50, 500, None], pa.decimal128(12, 2)),
        pa.chunked_array([pa.array([50.0]), pa.array([500.0, None])]),
    ],
)
def test_every_arrow_number_will_do(amounts: pa.Array) -> None:
    hits = rule_set(LARGE).evaluate_table(pa.table({"amount": amounts}))
    assert hits.column("large").to_pylist() == [False, True, False]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_arrow_text_will_do(kind: pa.DataType) -> None:
    hits = rule_set(ABROAD).evaluate_table(
        pa.table({"country": pa.array(["DE", "FR", None], kind)})
    )
    assert hits.column("abroad").to_pylist() == [False, True, False]


def test_a_column_of_nothing_but_null_is_missing_throughout() -> None:
    hits = rule_set(ABROAD).evaluate_table(pa.table({"country": pa.nulls(2)}))
    assert hits.column("abroad").to_pylist() == [False, False]


def test_restricting_keeps_the_rules_that_need_no_more_than_is_known() -> None:
    rules = rule_set(LARGE, ABROAD, FRESH).restrict({"country", "amount"})
    assert [rule.id for rule in rules.rules] == ["abroad", "large"]
    assert rules.evaluate({"amount": 500.0, "country": "DE"}).rule_id == "large"


def test_the_digest_follows_what_bears_on_a_verdict() -> None:
    digest = rule_set(LARGE, ABROAD).digest
    assert rule_set(ABROAD, LARGE).digest == digest
    assert rule_set(LARGE + "\n    note: why", ABROAD).digest == digest
    assert rule_set(LARGE.replace("100", "100.00000001"), ABROAD).digest != digest
    assert rule_set(LARGE, ABROAD.replace("REVIEW", "APPROVE")).digest != digest


def sample(key: bytes, action: str = "DECLINE") -> set[int]:
    rules = rule_set(
        rule("large", "amount > 100", action), head="version: 1\npass_share: 0.02", key=key
    )
    verdicts = [rules.evaluate({"amount": 500.0}, f"user-{n}") for n in range(5_000)]
    assert all(verdict.passed == (verdict.action is None) for verdict in verdicts)
    assert all(verdict.rule_id == "large" for verdict in verdicts)
    return {n for n, verdict in enumerate(verdicts) if verdict.passed}


def test_the_declared_share_of_declines_passes_and_always_the_same_entities() -> None:
    passing = sample(b"one key")
    assert 60 <= len(passing) <= 140  # 100 expected, four standard deviations
    assert passing == sample(b"one key")
    assert passing != sample(b"another key")


def test_a_review_never_passes_nor_does_an_unnamed_entity() -> None:
    assert sample(b"one key", "REVIEW") == set()
    rules = rule_set(LARGE, head="version: 1\npass_share: 0.05", key=b"k")
    assert not any(rules.evaluate({"amount": 500.0}).passed for _ in range(100))
