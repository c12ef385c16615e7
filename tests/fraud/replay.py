"""Sends payments and the facts about them through the online path in the order they were known."""

from collections.abc import Iterator, Sequence

from lib.feature import Observation, OnlineFeatures, ProfileStore
from tests.fraud.oracle import processing_order


def replay(
    online: OnlineFeatures, store: ProfileStore, payments: Sequence[dict], retry_every: int = 0
) -> Iterator[Observation]:
    """The observation of each payment, in processing order.

    With `retry_every=k` every k-th payment is sent a second time right after its first.
    """
    order = processing_order(payments)
    facts = sorted(_facts(order), key=lambda f: f[0])
    waiting: list[tuple[int, int, str, bool]] = []
    for place, payment in enumerate(order):
        while facts and facts[0][0] <= payment["received_at"]:
            waiting.append(facts.pop(0))
        due = [fact for fact in waiting if fact[1] < place]
        waiting = [fact for fact in waiting if fact[1] >= place]
        for _, of, fact, known in due:
            store.exchange(online.learn(order[of], fact, known, revision=int(not known)))
        observation = online.read(payment, store.exchange(online.request(payment)))
        if retry_every and place % retry_every == 0:
            again = online.read(payment, store.exchange(online.request(payment)))
            assert not again.first
            assert repr(again.values) == repr(observation.values)
        yield observation


def _facts(order: Sequence[dict]) -> Iterator[tuple[int, int, str, bool]]:
    for place, payment in enumerate(order):
        for fact in ("fraud", "declined"):
            if payment[f"{fact}_from"] is not None:
                yield payment[f"{fact}_from"], place, fact, True
            if payment.get(f"{fact}_until") is not None:
                yield payment[f"{fact}_until"], place, fact, False
