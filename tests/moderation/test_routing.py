"""Posts are routed by expected cost: harder with probability and reach, within capacity."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lib.moderation.policies import (
    POLICIES_FILE,
    Costs,
    Policies,
    Policy,
    Thresholds,
    load_policies,
)
from lib.moderation.review_price import capacity_price
from lib.moderation.routing import ALLOW, REMOVE, REVIEW, UNDECODED, Routing

unit_floats = st.one_of(st.floats(0, 1), st.sampled_from((0.0, 0.5, 1.0)))
views = st.integers(0, 10**9)
money = st.floats(0.01, 1000)


@st.composite
def policy(draw, number):
    costs = Costs(
        wrong_removal=draw(money),
        missed_violation=draw(money),
        review=draw(money),
        waiting_share=draw(st.floats(0, 0.9)),
    )
    low, high = sorted((draw(st.floats(0.01, 1)), draw(st.floats(0.01, 1))))
    by_cost = draw(st.booleans())
    return Policy(
        id=f"policy_{number}",
        description="any",
        severity=draw(st.integers(1, 5)),
        version=1,
        costs=costs if by_cost else None,
        thresholds=None if by_cost else Thresholds(review=low, remove=high),
        actions=draw(
            st.sampled_from(
                (("ALLOW", "REVIEW", "REMOVE"), ("ALLOW", "REVIEW"), ("ALLOW", "REMOVE"))
            )
        ),
        languages=draw(st.sampled_from(((), ("de",)))),
    )


@st.composite
def policies(draw):
    count = draw(st.integers(1, 4))
    return Policies(version=1, policies=tuple(draw(policy(number)) for number in range(count)))


def some(rows, columns, seed):
    return np.random.default_rng(seed).random((rows, columns)) ** 3


def shipped() -> Policies:
    return load_policies(POLICIES_FILE.read_text(encoding="utf-8"))


def costs_of(policy, probability, reach, price, views_that_double):
    """Expected cost of each action, the slow obvious way."""
    harm = (
        probability * policy.costs.missed_violation * (1 + math.log2(1 + reach / views_that_double))
    )
    every = {
        "ALLOW": harm,
        "REVIEW": policy.costs.review + price + policy.costs.waiting_share * harm,
        "REMOVE": (1 - probability) * policy.costs.wrong_removal,
    }
    return {name: cost for name, cost in every.items() if name in policy.actions}


@settings(max_examples=200)
@given(policy(0).filter(lambda candidate: candidate.costs), unit_floats, views, st.floats(0, 100))
def test_the_action_of_least_expected_cost_is_taken(policy, probability, reach, price):
    few = Policies(version=1, policies=(policy,))
    routed = Routing(few, price).route([[probability]], reach)
    costs = costs_of(policy, probability, reach, price, few.views_that_double)
    action = ("ALLOW", "REVIEW", "REMOVE")[int(routed.actions[0])]
    assert costs[action] <= min(costs.values()) * (1 + 1e-9) + 1e-9


@settings(max_examples=200)
@given(
    policies(), st.integers(0, 2**32 - 1), unit_floats, st.integers(0, 3), views, st.floats(0, 50)
)
def test_a_higher_probability_is_never_milder(some_policies, seed, higher, index, reach, price):
    count = len(some_policies.ids)
    low = some(1, count, seed)
    high = low.copy()
    high[0, index % count] = max(higher, low[0, index % count])
    routing = Routing(some_policies, price)
    assert routing.route(high, reach).actions[0] >= routing.route(low, reach).actions[0]


@settings(max_examples=200)
@given(policies(), st.integers(0, 2**32 - 1), views, views, st.floats(0, 50))
def test_a_higher_reach_is_never_milder(some_policies, seed, first_reach, other, price):
    probabilities = some(1, len(some_policies.ids), seed)
    routing = Routing(some_policies, price)
    low, high = sorted((first_reach, other))
    assert (
        routing.route(probabilities, high).actions[0]
        >= routing.route(probabilities, low).actions[0]
    )
    assert routing.route(probabilities, high).risk[0] >= routing.route(probabilities, low).risk[0]


@settings(max_examples=100)
@given(policies(), st.integers(0, 2**32 - 1), views, st.floats(0, 1e6))
def test_a_post_that_did_not_decode_is_never_allowed_unseen(some_policies, seed, reach, price):
    probabilities = some(1, len(some_policies.ids), seed)
    routing = Routing(some_policies, price)
    failed = routing.route(probabilities, reach, failed=True)
    expected = routing.route(probabilities, reach, failed=False)
    assert failed.actions[0] >= REVIEW
    assert failed.actions[0] == max(expected.actions[0], REVIEW)


@settings(max_examples=100)
@given(policies(), st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 50))
def test_one_post_is_routed_as_it_is_among_many(some_policies, seed, rows, price):
    rng = np.random.default_rng(seed)
    probabilities = some(rows, len(some_policies.ids), seed)
    reach, failed = rng.integers(0, 10**6, rows), rng.random(rows) < 0.2
    languages = rng.choice(np.array(["de", "de-AT", "en", None], dtype=object), rows).tolist()
    routing = Routing(some_policies, price)
    many = routing.route(probabilities, reach, failed, languages)
    for row in range(rows):
        single = routing.route(probabilities[[row]], reach[row], failed[row], [languages[row]])
        assert single.actions[0] == many.actions[row]
        assert single.risk[0] == many.risk[row]
        assert single.deciding[0] == many.deciding[row]
        assert (single.by_policy[0] == many.by_policy[row]).all()


def test_the_hardest_policy_decides_and_is_named():
    few = Policies(
        version=1,
        policies=tuple(
            Policy(
                id=name,
                description="x",
                severity=severity,
                version=1,
                thresholds=Thresholds(review=0.5, remove=0.9),
            )
            for name, severity in (("mild", 1), ("bad", 5), ("other", 3))
        ),
    )
    routed = Routing(few).route([[0.95, 0.6, 0.6], [0.1, 0.6, 0.7], [0.1, 0.1, 0.1]])
    assert routed.actions.tolist() == [REMOVE, REVIEW, ALLOW]
    assert [routed.words(row, few) for row in range(3)] == [
        ("REMOVE", "mild"),
        ("REVIEW", "bad"),
        ("ALLOW", None),
    ]
    assert routed.risk.tolist() == pytest.approx([3.0, 3.0, 0.5])
    failed = Routing(few).route([[0.1, 0.1, 0.1]], failed=True)
    assert failed.words(0, few) == ("REVIEW", UNDECODED)


def test_a_policy_for_other_languages_does_not_hold():
    few = Policies(
        version=1,
        policies=(
            Policy(
                id="local",
                description="x",
                severity=5,
                version=1,
                languages=("de",),
                thresholds=Thresholds(review=0.5, remove=0.9),
            ),
        ),
    )
    routed = Routing(few).route([[0.99]] * 4, languages=["de-CH", "en", None, "zz-qaa"])
    assert routed.actions.tolist() == [REMOVE, ALLOW, REMOVE, ALLOW]
    assert routed.risk.tolist() == pytest.approx([4.95, 0, 4.95, 0])


@settings(max_examples=100)
@given(policies(), st.integers(0, 2**32 - 1), st.floats(0, 1))
@example(shipped(), 5, 0.05)
def test_reviewers_get_no_more_than_their_capacity(some_policies, seed, capacity):
    rng = np.random.default_rng(seed)
    probabilities = some(200, len(some_policies.ids), seed)
    reach, failed = rng.integers(0, 10**6, 200), rng.random(200) < 0.01
    price = capacity_price(some_policies, capacity, probabilities, reach, failed)
    patience = Routing(some_policies).patience(probabilities, reach, failed, None)
    reviewed = Routing(some_policies, price).route(probabilities, reach, failed).actions == REVIEW
    assert reviewed.mean() <= max(capacity + 1e-9, np.isinf(patience[patience > 0]).sum() / 200)
    if price > 0:
        # a little cheaper, and one post more than capacity would be reviewed
        cheaper = Routing(some_policies, price * (1 - 1e-6)).route(probabilities, reach, failed)
        assert (cheaper.actions == REVIEW).mean() > capacity


@settings(max_examples=100)
@given(policies(), st.integers(0, 2**32 - 1), st.floats(0, 200))
def test_patience_is_the_price_up_to_which_a_post_is_reviewed(some_policies, seed, price):
    rng = np.random.default_rng(seed)
    probabilities = some(50, len(some_policies.ids), seed)
    reach, failed = rng.integers(0, 10**6, 50), rng.random(50) < 0.1
    patience = Routing(some_policies).patience(probabilities, reach, failed, None)
    assume(not np.isclose(patience, price, rtol=1e-6, atol=1e-6).any())
    routed = Routing(some_policies, price).route(probabilities, reach, failed)
    assert ((routed.actions == REVIEW) == (patience > price)).all()


def test_what_must_be_reviewed_at_any_price_raises_none():
    assert capacity_price(shipped(), 0.1, np.zeros((10, len(shipped().ids))), failed=True) == 0.0


def test_enough_reviewers_cost_nothing_extra():
    assert capacity_price(shipped(), 1.0, some(100, len(shipped().ids), 3)) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.5]],), r"probabilities: expected \(posts, 6\), got \(1, 1\)"),
        (([[0.5] * 5 + [math.nan]],), "expected 0..1, got nan for spam, row 0"),
        (([[0.5] * 5 + [1.1]],), "expected 0..1, got 1.1 for spam, row 0"),
        (([[0.5] * 6], -1), "reach: expected finite numbers of 0 or more"),
        (([[0.5] * 6], math.inf), "reach: expected finite numbers of 0 or more"),
        (([[0.5] * 6], 0, False, ["de", "en"]), "languages: expected 1, got 2"),
    ],
)
def test_what_cannot_be_routed_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Routing(shipped()).route(*arguments)


def test_a_price_below_nothing_is_refused():
    with pytest.raises(ValueError, match="price: expected 0 or more, got -1"):
        Routing(shipped(), -1)


def test_no_posts_are_routed_to_nothing():
    routed = Routing(shipped()).route(np.zeros((0, len(shipped().ids))))
    assert routed.actions.shape == routed.risk.shape == (0,)
