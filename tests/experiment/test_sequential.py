import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.experiment.errors import ExperimentError
from lib.experiment.sequential import (
    WIDEST,
    Continuation,
    boundaries,
    conditional_power,
    crossing_probabilities,
    spent_alpha,
)


def equal(looks: int) -> list[float]:
    return [look / looks for look in range(1, looks + 1)]


@pytest.mark.parametrize(
    ("looks", "published"),
    [
        (2, [2.963, 1.969]),
        (3, [3.710, 2.511, 1.993]),
        (4, [4.333, 2.963, 2.359, 2.014]),
        (5, [4.877, 3.357, 2.680, 2.290, 2.031]),
    ],
)
def test_boundaries_are_the_published_ones(looks: int, published: list[float]) -> None:
    """Two-sided 5%, Lan-DeMets O'Brien-Fleming: ldbounds (R) and gsDesign's sfLDOF at 2.5%."""
    assert boundaries(equal(looks)) == pytest.approx(published, abs=6e-4)


def test_boundaries_at_another_error_are_those_of_seqbounds() -> None:
    """PharmCat/SeqBounds.jl, one-sided 5%."""
    published = [3.74955, 2.53993, 2.01604, 1.72014]
    assert boundaries(equal(4), alpha=0.1) == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(("looks", "error"), [(1, 0.05), (2, 0.083), (5, 0.142), (10, 0.193)])
def test_naive_peeking_errs_as_published(looks: int, error: float) -> None:
    """Armitage, McPherson and Rowe (1969), table 2."""
    crossed = crossing_probabilities([1.96] * looks, equal(looks)).sum()
    assert crossed == pytest.approx(error, abs=6e-4)


@pytest.mark.parametrize(
    "bounds",
    [[2.040 * np.sqrt(5 / look) for look in range(1, 6)], [2.413] * 5],
    ids=["obrien-fleming", "pocock"],
)
def test_classical_boundaries_spend_five_percent(bounds: list[float]) -> None:
    """Jennison and Turnbull (2000), tables 2.1 and 2.3."""
    assert crossing_probabilities(bounds, equal(5)).sum() == pytest.approx(0.05, abs=5e-5)


@given(
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=12, unique=True),
    st.sampled_from([0.01, 0.05, 0.1]),
)
@settings(max_examples=40, deadline=None)
def test_unequal_looks_spend_all_and_no_more(times: list[float], alpha: float) -> None:
    fractions = [*sorted(times), 1.0]
    gaps = np.diff([0.0, *fractions]) / np.array(fractions)
    bounds = boundaries(fractions, alpha)
    if gaps.min() > 0.01:
        error = crossing_probabilities(bounds, fractions).sum()
        assert error == pytest.approx(alpha, rel=1e-4)


def test_a_skipped_look_is_made_up_for_later() -> None:
    with_all, without = boundaries([0.25, 0.5, 0.75, 1.0]), boundaries([0.25, 0.75, 1.0])
    assert without[1] < with_all[2]
    assert crossing_probabilities(without, [0.25, 0.75, 1.0]).sum() == pytest.approx(0.05)


def test_after_the_planned_end_nothing_is_left_to_spend() -> None:
    running = Continuation()
    assert running.boundary(1.0) == pytest.approx(1.96, abs=1e-3)
    assert running.boundary(1.2, 0.9) == WIDEST
    assert spent_alpha(1.2) == spent_alpha(1.0) == 0.05


def test_a_late_last_look_spends_what_is_left() -> None:
    running = Continuation()
    running.boundary(0.5)
    assert running.boundary(1.3, np.sqrt(0.5)) == pytest.approx(boundaries([0.5, 1.0])[1])


def test_looks_at_the_same_outcomes_have_the_same_bound() -> None:
    running = Continuation()
    first = running.boundary(0.6)
    assert running.boundary(0.7, 1.0) == first


def test_closer_looks_are_cheaper() -> None:
    independent = boundaries(equal(5))
    closer = boundaries(equal(5), correlations=[0.0, 0.98, 0.98, 0.98, 0.98])
    assert (closer[2:] < independent[2:]).all()
    assert closer[-1] >= 1.96 - 1e-3


def test_entities_that_stay_keep_the_error() -> None:
    """Totals of entities with slopes of their own: correlated increments, measured as such."""
    random = np.random.default_rng(4)
    looks, replays, kept = 7, 40_000, 0.5
    slope = random.normal(size=(replays, 1)) * kept
    walk = random.normal(size=(replays, looks)).cumsum(axis=1)
    day = np.arange(1, looks + 1)
    z = (slope * day + walk) / np.sqrt(kept**2 * day**2 + day)
    measured = [0.0, *(np.corrcoef(z[:, k - 1], z[:, k])[0, 1] for k in range(1, looks))]
    bounds = boundaries(equal(looks), correlations=measured)
    error = (np.abs(z) > bounds).any(axis=1).mean()
    assert error == pytest.approx(0.05, abs=4 * np.sqrt(0.05 / replays))


def test_power_and_stopping_of_a_design() -> None:
    bounds = boundaries(equal(5))
    at = crossing_probabilities(bounds, equal(5), drift=3.2415)
    assert at[:, 0].sum() == pytest.approx(0.89, abs=0.01)
    random = np.random.default_rng(2)
    steps = random.normal(3.2415 / 5, np.sqrt(1 / 5), size=(40_000, 5)).cumsum(axis=1)
    simulated = (steps / np.sqrt(equal(5)) > bounds).any(axis=1).mean()
    assert at[:, 0].sum() == pytest.approx(simulated, abs=0.007)


def test_conditional_power_is_that_of_the_rest() -> None:
    """At no information it is the power of a single test; at all of it 0 or 1."""
    assert conditional_power(0.0, 0.0, 2.8016, 1.96) == pytest.approx(0.8, abs=1e-3)
    assert conditional_power(2.0, 1.0, 2.8, 1.96) == 1.0
    assert conditional_power(-1.0, 0.6, 2.8, 2.0) < 0.05


def test_a_look_out_of_order_is_refused() -> None:
    running = Continuation()
    running.boundary(0.5)
    with pytest.raises(ExperimentError, match=r"look: expected after 0.5000"):
        running.boundary(0.5, 0.9)
    with pytest.raises(ExperimentError, match="correlation: expected 0 to 1"):
        running.boundary(0.6, 1.5)
    with pytest.raises(ExperimentError, match="alpha"):
        Continuation(alpha=0.0)
