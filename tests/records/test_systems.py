"""A system that adds itself in one place is known everywhere, and another one is refused."""

from typing import get_args

import pytest

from lib.records import RecordsError
from lib.records.entity import Entity
from lib.records.systems import SYSTEMS, System
from tests.records.conftest import fact


def test_commands_offer_the_systems_that_are_recorded() -> None:
    assert get_args(System) == tuple(SYSTEMS)


def test_an_unknown_system_is_refused_by_name() -> None:
    refusal = f"system: expected one of {', '.join(SYSTEMS)}, got 'credit'"
    with pytest.raises(RecordsError, match=refusal):
        Entity("credit", "user", "u1")
    with pytest.raises(RecordsError, match=refusal):
        fact("s1", system="credit")


def test_a_kind_that_the_system_does_not_have_is_refused() -> None:
    with pytest.raises(RecordsError, match="kind: expected one of machine, got 'user'"):
        Entity("maintenance", "user", "u1")
    with pytest.raises(RecordsError, match="kind: expected notice or left or at_risk, got 'fraud'"):
        fact("c1", system="churn")
    with pytest.raises(RecordsError, match="kind: expected no facts of moderation, got 'fraud'"):
        fact("p1", system="moderation")
