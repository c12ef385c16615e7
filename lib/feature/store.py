"""The contract of a profile store, and the URLs that name one: a file of SQLite, or Redis.

Every store passes the same tests (tests/feature).
"""

from pathlib import Path
from typing import Protocol

from lib.feature.profile_exchange import ProfileReply, ProfileRequest

_SQLITE = "sqlite:///"
_REDIS = ("redis://", "rediss://", "unix://")


class StoreError(Exception):
    """The store did not answer, or not in time. Nothing is known about the exchange."""


class ReceiptConflictError(Exception):
    """An id was used before for an event with other keys or other content."""


class ProfileStore(Protocol):
    """Keeps profiles and receipts.

    Exchanges are atomic: none sees half of another, and a crash leaves all of one or nothing.
    """

    def exchange(self, request: ProfileRequest) -> ProfileReply:
        """Reads the profiles, then updates them, in one round trip.

        A receipt seen before changes nothing and gives the first time's profiles back, or the
        answer if the event was settled; a receipt of other profiles or content gives neither.

        Raises:
            StoreError: if the store is out; the same exchange may be sent again.
        """
        ...

    def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        """Replaces what a receipt keeps by the answer that was given, for `seconds`."""
        ...

    def ping(self) -> None:
        """Returns if the store can be reached, else raises StoreError."""
        ...

    def close(self) -> None:
        """Gives connections back; the store is not used afterwards."""
        ...


class AsyncProfileStore(Protocol):
    """The same, without holding up an event loop.

    Attributes:
        keeps_time: whether a call ends within the store's timeout whatever happens, within twice
            that where it must connect first or the server has forgotten the script.
    """

    keeps_time: bool

    async def exchange(self, request: ProfileRequest) -> ProfileReply:
        """See `ProfileStore.exchange`."""
        ...

    async def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        """See `ProfileStore.settle`."""
        ...

    async def ping(self) -> None:
        """See `ProfileStore.ping`."""
        ...

    async def close(self) -> None:
        """See `ProfileStore.close`."""
        ...


def sqlite_file(url: str) -> Path | None:
    """The file of a `sqlite:///path`; None for another URL."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def parse_store_url(option: str, url: str) -> Path | None:
    """The file of SQLite; None for Redis.

    Args:
        option: that named the store.
        url: `sqlite:///path`, `redis://host:port/0`, `rediss://...` or `unix:///socket`.

    Raises:
        ValueError: another kind of URL.
    """
    if not url.startswith((_SQLITE, *_REDIS)):
        raise ValueError(f"{option}: expected sqlite:///path or redis://host:port/0, got {url!r}")
    return sqlite_file(url)
