"""Slows failed sign-ins, by address and by key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SECOND = 1_000_000
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2, 60
_FORGOTTEN_S = 900
_MOST_KEPT = 10_000


@dataclass(slots=True)
class _Failures:
    count: int
    last_at: int


class SignInThrottle:
    """Counts failures of each address and of each key that was named, in this replica.

    After `allowed` failures within a quarter of an hour of one another, each further one doubles
    the wait before the next attempt, from two seconds to a minute. A key is a secret of 256 bits
    that nobody guesses; this keeps whoever tries from the log and the processor. From an address
    that waits nothing is looked at; a key that waits is refused unless its secret is right, so
    that nobody who knows its public id can lock its owner out.

    Args:
        allowed: failures before there is a wait.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, names: Iterable[str], now: int) -> int:
        """Seconds until an attempt under these names is looked at; 0 where it is at once.

        Args:
            names: of the attempt: its address, its key.
            now: microseconds since 1970 UTC.
        """
        return max((self._wait_of(name, now) for name in names), default=0)

    def failed(self, names: Iterable[str], now: int) -> None:
        """Counts a failure."""
        for name in names:
            past = self._failures.pop(name, None)
            fresh = past is None or now - past.last_at > _FORGOTTEN_S * _SECOND
            count = 1 if past is None or fresh else past.count + 1
            self._failures[name] = _Failures(count, now)
        while len(self._failures) > _MOST_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, names: Iterable[str]) -> None:
        """Forgets the failures of a key whose secret was shown."""
        for name in names:
            self._failures.pop(name, None)

    def _wait_of(self, name: str, now: int) -> int:
        failures = self._failures.get(name)
        if failures is None or failures.count < self._allowed:
            return 0
        doublings = min(failures.count - self._allowed, 10)
        wait: int = min(_FIRST_WAIT_S * 2**doublings, _LONGEST_WAIT_S)
        left = failures.last_at + wait * _SECOND - now
        return max(0, -(-left // _SECOND))


def address_of(headers: Mapping[str, str], client: str, proxies: int) -> str:
    """The address of a browser, as the nearest proxies that are ours saw it.

    Args:
        headers: of the request; `x-forwarded-for` is added to by each proxy.
        client: who is connected to this process.
        proxies: that are ours; what stands before their entries is the caller's own word.
    """
    entries = [part.strip() for part in headers.get("x-forwarded-for", "").split(",")]
    if proxies == 0 or len(entries) < proxies or not entries[-proxies]:
        return client
    return entries[-proxies]
