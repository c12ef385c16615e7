from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.experiment.assignment import Assignment
from lib.experiment.errors import ExperimentError

KEY = bytes(range(32))
ENTITIES = [f"customer-{number}" for number in range(100_000)]
SHARES = (0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.9, 1.0)


def challengers(share: float, key: bytes = KEY, name: str = "november") -> set[str]:
    assignment = Assignment(key, name, share)
    return {entity for entity in ENTITIES if assignment.arm(entity) == "challenger"}


@pytest.fixture(scope="module")
def by_share() -> dict[float, set[str]]:
    return {share: challengers(share) for share in SHARES}


def test_raising_the_share_moves_nobody_back(by_share: dict[float, set[str]]) -> None:
    for lower, higher in pairwise(SHARES):
        assert by_share[lower] <= by_share[higher]


def test_each_share_has_about_its_part(by_share: dict[float, set[str]]) -> None:
    for share, entities in by_share.items():
        bound = 4.0 * np.sqrt(share * (1.0 - share) * len(ENTITIES))
        assert abs(len(entities) - share * len(ENTITIES)) <= bound


def test_an_entity_is_in_one_arm_alone_and_always(by_share: dict[float, set[str]]) -> None:
    assert challengers(0.1) == by_share[0.1]


def test_another_key_or_name_draws_other_arms(by_share: dict[float, set[str]]) -> None:
    for other in (challengers(0.1, key=b"k" * 16), challengers(0.1, name="december")):
        both = len(other & by_share[0.1])
        assert abs(both - 1_000) < 4.0 * np.sqrt(1_000)


def test_positions_are_spread_evenly() -> None:
    assignment = Assignment(KEY, "november", 0.5)
    positions = np.sort([assignment.position(entity) for entity in ENTITIES])
    gap = np.abs(positions - (np.arange(len(positions)) + 0.5) / len(positions)).max()
    assert gap < 1.95 / np.sqrt(len(positions))  # Kolmogorov-Smirnov, .1%


@given(entity=st.text(min_size=1), share=st.floats(0, 1), raised=st.floats(0, 1))
def test_any_entity_at_any_two_shares(entity: str, share: float, raised: float) -> None:
    before, after = (Assignment(KEY, "n", s).arm(entity) for s in sorted((share, raised)))
    assert before == "champion" or after == "challenger"
    assert (Assignment(KEY, "n", share).position(entity) < share) == (
        Assignment(KEY, "n", share).arm(entity) == "challenger"
    )


def test_the_key_is_not_printed_and_not_short() -> None:
    assert "key" not in repr(Assignment(KEY, "n", 0.5))
    with pytest.raises(ExperimentError, match="key: expected 16 to 64 bytes, got 3"):
        Assignment(b"abc", "n", 0.5)
    with pytest.raises(ExperimentError, match="share: expected 0 to 1"):
        Assignment(KEY, "n", 1.1)
