"""Sends payments, and the facts about them, through the online path as they became known."""

from collections.abc import Iterator, Sequence

from lib.feature import Observation, OnlineFeatures, ProfileStore
from lib.feature import replay as steps


def replay(
    online: OnlineFeatures, store: ProfileStore, payments: Sequence[dict], retry_every: int = 0
) -> Iterator[Observation]:
    """The observation of each payment, in processing order.

    With `retry_every=k` every k-th payment is sent a second time right after its first.
    """
    index = 0
    for exchange, event in steps(online, payments):
        reply = store.exchange(exchange)
        if event is None:
            continue
        observation = online.read(event, reply)
        if retry_every and index % retry_every == 0:
            again = online.read(event, store.exchange(online.request(event)))
            assert not again.first
            assert repr(again.values) == repr(observation.values)
        index += 1
        yield observation
