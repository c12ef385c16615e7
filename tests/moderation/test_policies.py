"""Policies are read from a file, or their author is told what to mend and where."""

import pytest

from lib.moderation.policies import POLICIES_FILE, PolicyError, load_policies

GOOD = """\
version: 3
views_that_double: 500
policies:
  - id: hate
    description: attacks people for what they are
    severity: 4
    version: 2
    costs:
      wrong_removal: 8
      missed_violation: 12
      review: 0.5
  - id: spam
    description: advertising
    severity: 1
    version: 1
    thresholds: {review: 0.8, remove: 0.97}
    actions: [ALLOW, REVIEW]
    languages: [de, pt-BR]
"""


def test_the_policies_of_the_product_are_read():
    policies = load_policies(POLICIES_FILE.read_text(encoding="utf-8"))
    assert len(policies.ids) >= 5
    assert all(policy.costs or policy.thresholds for policy in policies.policies)


def test_policies_keep_their_order_and_fields():
    policies = load_policies(GOOD)
    assert policies.ids == ("hate", "spam")
    assert policies.version == 3
    assert policies.named("hate").costs.missed_violation == 12
    assert policies.named("spam").actions == ("ALLOW", "REVIEW")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    severity: 4",
            "    severty: 4",
            "p.yaml:6: hate: policies.severty: unknown field; did you mean 'severity'?",
        ),
        (
            "missed_violation",
            "mised_violation",
            "p.yaml:10: hate: policies.costs.mised_violation: unknown field; "
            "did you mean 'missed_violation'?",
        ),
        (
            "views_that_double",
            "views_to_double",
            "p.yaml:2: views_to_double: unknown field; did you mean 'views_that_double'?",
        ),
        (
            "severity: 4",
            "severity: 6",
            "p.yaml:6: hate: policies.severity: input should be less than or equal to 5, got 6",
        ),
        ("    severity: 4\n", "", "p.yaml:4: hate: policies.severity: field required"),
        (
            "wrong_removal: 8",
            "wrong_removal: .inf",
            "p.yaml:9: hate: policies.costs.wrong_removal: input should be ",
        ),
        (
            "remove: 0.97",
            "remove: 0.5",
            "p.yaml:16: spam: policies.thresholds: review (0.8) stands above remove (0.5)",
        ),
        (
            "    thresholds: {review: 0.8, remove: 0.97}\n",
            "",
            "p.yaml:12: spam: policies: expected either costs or thresholds, got neither",
        ),
        (
            "[ALLOW, REVIEW]",
            "[ALLOW, REMOV]",
            "p.yaml:17: spam: policies.actions: input should be 'ALLOW', 'REVIEW' or 'REMOVE', "
            "got 'REMOV'; did you mean 'REMOVE'?",
        ),
        (
            "[ALLOW, REVIEW]",
            "[REVIEW, REMOVE]",
            "p.yaml:12: spam: policies: actions: expected ALLOW and at least one of",
        ),
        (
            "[de, pt-BR]",
            "[german]",
            "p.yaml:18: spam: policies.languages: string should match pattern",
        ),
        ("id: spam", "id: hate", "p.yaml:1: policies: 'hate' is declared twice"),
        ("    severity: 1", "    severity: 1\n    severity: 2", "p.yaml:15: severity: stands here"),
        (
            "severity: 4\n    version: 2",
            "severity: &four 4\n    version: *four",
            "p.yaml:7: aliases are refused",
        ),
        ("version: 3", "version: 3: 4", "p.yaml:1: not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(old, new, message):
    with pytest.raises(PolicyError) as caught:
        load_policies(GOOD.replace(old, new, 1), "p.yaml")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["", "- a", "just a text", "policies: {}", "[" * 50])
def test_what_is_no_file_of_policies_is_refused(text):
    with pytest.raises(PolicyError):
        load_policies(text)


def test_an_unknown_policy_is_refused_with_a_suggestion():
    with pytest.raises(PolicyError, match="'hat' is unknown; did you mean 'hate'"):
        load_policies(GOOD).named("hat")


def test_a_digest_changes_with_the_meaning_and_not_with_comments():
    plain = load_policies(GOOD).digest
    assert load_policies("# a comment\n" + GOOD).digest == plain
    assert load_policies(GOOD.replace("0.97", "0.98")).digest != plain
    assert load_policies(GOOD.replace("attacks", "insults")).digest != plain


@pytest.mark.parametrize(
    ("language", "holds"),
    [
        ("de", True),
        ("de-AT", True),
        ("DE", True),
        ("pt-BR", True),
        ("pt", False),
        ("den", False),
        ("xx-unknown", False),
        (None, True),
    ],
)
def test_a_policy_limited_to_languages_holds_there_and_where_nothing_is_known(language, holds):
    policies = load_policies(GOOD)
    assert policies.named("spam").holds_in(language) is holds
    assert policies.named("hate").holds_in(language)
