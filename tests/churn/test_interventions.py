"""Playbooks, the plan of a day, what it changed, and who is changed by it."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.churn.features import churn_features
from lib.churn.interventions.daily import Economics, is_held_out, log_of, plan_day
from lib.churn.interventions.effects import (
    Effect,
    MeasuredShare,
    churned_customers,
    effects_of,
    estimate_effect,
    measured_shares,
)
from lib.churn.interventions.expected_falls import assumed_falls, revised_falls
from lib.churn.interventions.plan import (
    NO_PLAYBOOK,
    Budget,
    Candidates,
    highest_risk_first,
    plan_interventions,
    plan_of,
    random_plan,
)
from lib.churn.interventions.playbooks import PLAYBOOKS_FILE, PlaybookError, load_playbooks
from lib.churn.interventions.report import plan_report
from lib.churn.model.scores import contributions_in, scores_table
from lib.churn.vocabulary import ChurnError
from lib.feature import DAY
from lib.report import render_page
from tests.churn.plan_limits import violations
from tests.churn.small_model import rows, trained
from tests.churn.tables import BASE

NAMES = churn_features(BASE).names
TEXT = PLAYBOOKS_FILE.read_text()


def test_the_packaged_playbooks_are_sound():
    playbooks = load_playbooks(TEXT, NAMES)
    assert {"success_call", "training", "discount"} < {
        playbook.id for playbook in playbooks.playbooks
    }
    assert all(playbook.evidence for playbook in playbooks.playbooks)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "hours: 1.5",
            "hors: 1.5",
            r"success_call: playbooks.hors: unknown .* 'hours'",
        ),
        (
            "cost: 350",
            "cost: -350",
            r"training: playbooks.cost: .*than or equal to 0.*-350",
        ),
        ("effect: 0.35", "effect: 1.5", r"training: playbooks.effect"),
        ("usage_trend_30d < 0.8", "usage_trnd_30d < 0.8", r"training: who: .*usage_trend_30d"),
        ("- id: training", "- id: success_call", "playbook 'success_call' is declared twice"),
        ("version: 1", "vershun: 1", "vershun: unknown field; did you mean 'version'"),
        ("holdout: 0.1", "holdout: [", "playbooks"),
    ],
)
def test_a_typo_in_a_playbook_is_named(old: str, new: str, words: str):
    with pytest.raises(PlaybookError, match=words):
        load_playbooks(TEXT.replace(old, new, 1), NAMES)


def test_a_switch_stops_all_of_them():
    off = load_playbooks(TEXT.replace("enabled: true", "enabled: false"), NAMES)
    assert off.playbooks == ()
    assert off.qualified(NAMES, np.zeros((3, len(NAMES)))).shape == (3, 0)


def test_whoever_qualifies_is_found_by_features():
    playbooks = load_playbooks(TEXT, NAMES)
    matrix = np.full((3, len(NAMES)), np.nan)
    matrix[0, NAMES.index("usage_trend_30d")] = 0.5
    matrix[1, NAMES.index("price_complaint_90d")] = 1.0
    ids = [playbook.id for playbook in playbooks.playbooks]
    mask = playbooks.qualified(NAMES, matrix)
    assert mask.sum(axis=1).tolist() == [1, 1, 0]
    assert mask[0, ids.index("training")]
    assert mask[1, ids.index("discount")]


def candidates(seed: int, people: int = 6, books: int = 3) -> Candidates:
    draw = np.random.default_rng(seed)
    value = draw.normal(20, 40, (people, books))
    value[draw.random((people, books)) < 0.3] = -np.inf
    return Candidates(
        tuple(f"c{k}" for k in range(people)),
        value,
        draw.uniform(1, 30, (people, books)),
        draw.uniform(0.5, 4, books),
        np.array([np.inf, 2.0, 1.0])[:books],
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 12), st.floats(0, 60), st.integers(0, 6))
def test_the_plan_is_the_best_of_all(seed: int, hours: float, budget: float, most: int):
    """Held against every possible plan, one by one."""
    candidate_set, limits = candidates(seed, people=5), Budget(hours, budget, most)
    best = 0.0
    for choice in itertools.product(range(-1, 3), repeat=5):
        plan = plan_of(candidate_set, np.array(choice))
        if not violations(candidate_set, limits, plan):
            best = max(best, plan.value)
    ours = plan_interventions(candidate_set, limits)
    assert violations(candidate_set, limits, ours) == []
    assert ours.value == pytest.approx(best, abs=1e-6)


@given(st.integers(0, 10_000), st.floats(0, 30), st.floats(0, 100))
@settings(max_examples=25, deadline=None)
def test_other_ways_keep_the_limits_and_are_never_better(seed: int, hours: float, budget: float):
    candidate_set, limits = candidates(seed, people=12), Budget(hours, budget)
    ours = plan_interventions(candidate_set, limits)
    probabilities = np.random.default_rng(seed).random(12)
    for plan in (
        highest_risk_first(candidate_set, limits, probabilities),
        random_plan(candidate_set, limits, seed),
    ):
        assert violations(candidate_set, limits, plan) == []
        assert plan.value <= ours.value + 1e-6


def test_a_negative_budget_is_refused():
    with pytest.raises(ChurnError, match=r"budget: expected 0 or more, got -5"):
        Budget(hours=1.0, budget=-5.0)
    with pytest.raises(ChurnError, match="hours"):
        Budget(hours=float("nan"), budget=5.0)


def test_nobody_to_plan_for_is_a_plan():
    nobody = Candidates((), np.zeros((0, 3)), np.zeros((0, 3)), np.ones(3), np.full(3, np.inf))
    assert plan_interventions(nobody, Budget(1.0, 1.0)).value == 0.0


def test_the_holdout_is_the_same_every_day_and_of_its_share():
    held_out = [is_held_out(f"c{k}", 0.2, "churn") for k in range(5000)]
    assert held_out == [is_held_out(f"c{k}", 0.2, "churn") for k in range(5000)]
    assert np.mean(held_out) == pytest.approx(0.2, abs=0.02)
    other = [is_held_out(f"c{k}", 0.2, "another") for k in range(5000)]
    assert held_out != other
    assert not any(is_held_out(f"c{k}", 0.0, "churn") for k in range(100))


def drawn(seed: int, count: int = 400, fall: float = 0.1) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(seed)
    probabilities = draw.uniform(0.1, 0.6, count)
    treated = draw.random(count) < 0.7
    left = (draw.random(count) < probabilities - fall * treated).astype(float)
    return left, treated, np.full(count, 0.7), probabilities


def test_intervals_cover_the_true_effect_as_often_as_they_say():
    hits = [
        (effect := estimate_effect(*drawn(seed))).low <= 0.1 <= effect.high for seed in range(400)
    ]
    assert 0.93 <= np.mean(hits) <= 0.975


def test_few_leavers_do_not_make_an_interval_narrow():
    """Nobody left on either side: that is no proof of no effect."""
    treated = np.array([True] * 20 + [False] * 5)
    effect = estimate_effect(np.zeros(25), treated, np.full(25, 0.8), np.full(25, 0.05))
    assert effect.high - effect.low > 0.1
    assert not effect.is_shown


def test_the_power_says_what_could_be_seen():
    few, many = (estimate_effect(*drawn(1, count), expected=0.1) for count in (100, 5000))
    assert few.power < 0.5 < many.power
    assert many.detectable < few.detectable


def test_a_comparison_that_cannot_be_made_is_refused():
    left, treated, propensity, probabilities = drawn(1)
    with pytest.raises(ChurnError, match="nothing to compare"):
        estimate_effect(
            left[treated], treated[treated], propensity[treated], probabilities[treated]
        )
    with pytest.raises(ChurnError, match="propensity"):
        estimate_effect(left, treated, np.ones(len(left)), probabilities)


def test_assumed_effects_give_way_to_what_was_seen():
    sure = Effect(0.01, 0.0, 0.02, 1000, 1000, 0.01, 0.9)
    unsure = Effect(0.01, -0.5, 0.52, 10, 10, 0.5, 0.1)
    assert MeasuredShare.of(sure, 0.2).revise(0.4) == pytest.approx(0.05, abs=0.02)
    assert MeasuredShare.of(unsure, 0.2).revise(0.4) == pytest.approx(0.4, abs=0.02)


def day_of(history: pa.Table | None = None, at_us: int = 400 * DAY, **options: object) -> object:
    customer_rows = rows()[1]
    last = customer_rows.take(customer_rows.at_us == customer_rows.at_us.max())
    scores = scores_table(trained(), last)
    playbooks = load_playbooks(TEXT, last.names)
    limits = Budget(hours=60.0, budget=5000.0)
    day = plan_day(
        scores,
        last.names,
        playbooks,
        limits,
        Economics(),
        at_us,
        history,
        **options,  # type: ignore[arg-type]
    )
    return day, log_of(day, playbooks, at_us), scores, playbooks, limits


def test_a_day_is_planned_logged_and_reported():
    day, log, scores, playbooks, limits = day_of()  # type: ignore[misc]
    assert 0 < log.num_rows == int((day.plan.chosen != NO_PLAYBOOK).sum())
    assert log["value"].to_pylist() == sorted(log["value"].to_pylist(), reverse=True)
    assert violations(day.candidates, limits, day.plan) == []
    assert set(log["propensity"].to_pylist()) == {1.0 - playbooks.holdout}
    assert day.plan.value >= max(day.other_ways.values())
    page = render_page(
        plan_report(day, log, scores, playbooks, limits, Economics(), "2025-02-05", currency="USD")
    )
    for text in ("Interventions", "more in the control group", "USD"):
        assert text in page


def test_cool_downs_are_kept():
    _, first, *_ = day_of()  # type: ignore[misc]
    pairs = set(zip(first["customer_id"].to_pylist(), first["playbook"].to_pylist(), strict=True))
    _, next_day, *_ = day_of(first, at_us=401 * DAY)  # type: ignore[misc]
    again = set(
        zip(next_day["customer_id"].to_pylist(), next_day["playbook"].to_pylist(), strict=True)
    )
    assert pairs.isdisjoint(again)
    _, much_later, *_ = day_of(first, at_us=900 * DAY)  # type: ignore[misc]
    assert much_later["customer_id"].to_pylist() == first["customer_id"].to_pylist()


def test_outcomes_of_earlier_plans_revise_what_is_assumed():
    count, now = 200, 1000 * DAY
    draw = np.random.default_rng(2)
    held_out = draw.random(count) < 0.4
    names = [f"c{k}" for k in range(count)]
    log = pa.table(
        {
            "customer_id": names,
            "playbook": ["training"] * count,
            "planned_at": pa.array([now] * count).cast(pa.timestamp("us", "UTC")),
            "held_out": held_out,
            "propensity": [0.6] * count,
            "chance": [0.5] * count,
            "expected_fall": [0.17] * count,
        }
    )
    leavers = [name for name, out in zip(names, held_out, strict=True) if out]
    churn = pa.table(
        {
            "customer_id": leavers,
            "event_time": pa.array([now + 10 * DAY] * len(leavers)).cast(pa.timestamp("us", "UTC")),
        }
    )
    left = churned_customers(log, churn, 60, now + 100 * DAY)
    assert left.sum() == len(leavers)
    assert np.isnan(churned_customers(log, churn, 60, now + 30 * DAY)).all()
    effects = effects_of(log, left)
    assert effects["training"].value == pytest.approx(1.0)
    measured = measured_shares(log, effects)
    assert measured["training"].value > 1.0
    assert measured["training"].revise(0.35) > 0.6


def test_an_intervention_is_expected_to_help_where_the_trouble_is_that_it_treats():
    playbooks = load_playbooks(
        TEXT.replace("treats: [adoption, engagement]", "treats: [adoption, nps_last]"), NAMES
    )
    book = [playbook.id for playbook in playbooks.playbooks].index("training")
    contributions = np.zeros((4, len(NAMES)))
    contributions[1, NAMES.index("active_users_30d")] = 1.5
    contributions[2, NAMES.index("escalated_tickets_90d")] = 1.5
    contributions[3, NAMES.index("nps_last")] = -1.5
    probabilities = np.full(4, 0.3)
    falls = assumed_falls(playbooks, NAMES, probabilities, contributions)
    odds = 0.3 / 0.7 * np.exp(-0.35 * 1.5)
    assert falls[:, book] == pytest.approx([0.0, 0.3 - odds / (1.0 + odds), 0.0, 0.0])
    unknown = assumed_falls(playbooks, NAMES, probabilities, None)
    assert unknown[:, book] == pytest.approx(0.3 * 0.35)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.5), st.floats(0.01, 1.0))
def test_a_revision_keeps_falls_within_the_chance_and_their_order(
    seed: int, value: float, error: float
):
    draw = np.random.default_rng(seed)
    playbooks = load_playbooks(PLAYBOOKS_FILE.read_text(), NAMES)
    probabilities = draw.uniform(0.0, 1.0, 30)
    contributions = draw.normal(0.0, 1.0, (30, len(NAMES)))
    falls = assumed_falls(playbooks, NAMES, probabilities, contributions)
    assert ((falls >= 0.0) & (falls <= probabilities[:, None])).all()
    chosen = draw.integers(-1, len(playbooks.playbooks), 30)
    measured = {"training": MeasuredShare(value, error)}
    revised, shares = revised_falls(playbooks, falls, probabilities, chosen, measured)
    book = [playbook.id for playbook in playbooks.playbooks].index("training")
    assert set(shares) == {"training"}
    assert ((revised >= 0.0) & (revised <= probabilities[:, None])).all()
    unchanged = np.delete(revised, book, axis=1)
    assert np.array_equal(unchanged, np.delete(falls, book, axis=1))
    rows = chosen == book
    if rows.any() and falls[rows, book].sum() > 0.0:
        before = falls[rows, book].sum() / probabilities[rows].sum()
        assert (shares["training"] > before) == (min(value, 0.95) > before) or np.isclose(
            shares["training"], before
        )


def test_a_playbook_that_treats_an_unknown_feature_is_refused_with_a_hint():
    text = PLAYBOOKS_FILE.read_text().replace("[adoption, engagement]", "[adoptoin]")
    with pytest.raises(PlaybookError, match=r"training: treats: .*'adoptoin'; did you mean 'adop"):
        load_playbooks(text, NAMES)


def test_scores_carry_what_each_feature_adds():
    customer_rows = rows()[1].take(np.arange(len(rows()[1])) < 20)
    scores = scores_table(trained(), customer_rows)
    added = contributions_in(scores)
    usual = trained().contributions(trained().usual[None, :])
    assert np.array_equal(added, trained().contributions(customer_rows.matrix) - usual)
    assert contributions_in(scores.drop_columns(["contributions"])) is None
    none = scores_table(trained(), customer_rows.take(np.zeros(20, dtype=np.bool_)))
    assert contributions_in(none).shape == (0, len(customer_rows.names))
