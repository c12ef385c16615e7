"""The stores that a URL can name: a file of SQLite, or Redis."""

from __future__ import annotations

from pathlib import Path

_SQLITE = "sqlite:///"
_REDIS = ("redis://", "rediss://", "unix://")


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
