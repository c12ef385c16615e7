"""An experiment whose champion no longer decides ends, and says which model replaced it."""

from dataclasses import dataclass

from serve.framework.champion_watch import ChampionWatch
from tests.experiment.factories import CHALLENGER, CHAMPION, experiment

OTHER = "20261103T000000Z-00000003"


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_champion_that_was_replaced_ends_it_at_once() -> None:
    watch = ChampionWatch(experiment(), patience=45.0, clock=Clock())
    watch.add(CHAMPION)
    watch.add(None)  # no model answered: that says nothing
    assert watch.fault() is None
    watch.add(OTHER)
    text = f"its champion {CHAMPION} was replaced by {OTHER}; start another experiment"
    assert watch.fault() == text


def test_a_promoted_challenger_ends_it_with_these_words() -> None:
    watch = ChampionWatch(experiment(), patience=45.0, clock=Clock())
    watch.add(CHAMPION)
    watch.add(CHALLENGER)
    assert watch.fault() == f"its challenger {CHALLENGER} became the champion"


def test_a_replica_that_has_not_loaded_the_champion_yet_is_waited_for() -> None:
    clock = Clock()
    watch = ChampionWatch(experiment(), patience=45.0, clock=clock)
    watch.add(OTHER)
    clock.now += 44.0
    assert watch.fault() is None
    watch.add(CHAMPION)
    clock.now += 100.0
    assert watch.fault() is None


def test_a_champion_that_never_decides_ends_it_after_a_while() -> None:
    clock = Clock()
    watch = ChampionWatch(experiment(), patience=45.0, clock=clock)
    watch.add(OTHER)
    clock.now += 30.0
    watch.add(OTHER)
    clock.now += 15.0
    assert f"its champion {CHAMPION} does not decide here, but {OTHER}" in str(watch.fault())
