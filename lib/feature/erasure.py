"""Takes a person or thing out of a profile store: every profile with it in its key, and receipts.

Keys are looked through, as a store has no index by value.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import redis

from lib.feature.declaration import FeatureSet
from lib.feature.layout import Layout
from lib.feature.store import StoreError
from lib.feature.store_url import sqlite_file

_KEYS_AT_ONCE = 500
_BETWEEN = re.compile(r"[\x1f:]")


class ProfileCounts(NamedTuple):
    """How many profiles and receipts were found, and erased unless they were only counted."""

    profiles: int
    receipts: int


class ProfileMatch:
    """Says which keys and receipts belong to an entity.

    Args:
        feature_sets: whose keys say which column each value is of; of profiles of another
            feature set (an older one) any value counts.
        column: of the entity, e.g. `user_id`.
        entities: ids.
        events: ids of events, whose receipts go.
    """

    def __init__(
        self,
        feature_sets: Iterable[FeatureSet],
        column: str,
        entities: Collection[str],
        events: Collection[str],
    ) -> None:
        self._column = column
        self._entities = {entity.encode() for entity in entities}
        self._names = {*entities, *events}
        self._columns: Mapping[bytes, tuple[str, ...]] = {
            f"{feature_set.name}:{profile.digest}".encode(): profile.key
            for feature_set in feature_sets
            for profile in Layout(feature_set).profiles
        }

    def profile(self, key: bytes) -> bool:
        """Whether a profile is about one of the entities."""
        name, _, values = _split(key)
        parts = values.split(b"\x1f")
        columns = self._columns.get(name)
        if columns is None or len(columns) != len(parts):
            return not self._entities.isdisjoint(parts)
        named = dict(zip(columns, parts, strict=True))
        return named.get(self._column) in self._entities

    def receipt(self, name: str) -> bool:
        """Whether a receipt is of one of the events, or names one of the entities."""
        return name in self._names or not self._names.isdisjoint(_BETWEEN.split(name))


def erase_profiles(
    url: str, match: ProfileMatch, *, prefix: str = "fw:", count_only: bool = False
) -> ProfileCounts:
    """Erase what matches, some keys at a time; the service may go on meanwhile.

    An event that is counted meanwhile may leave a profile that begins with it.

    Args:
        url: `sqlite:///path`, `redis://host:port/0`, `rediss://...` or `unix:///socket`.
        match: says what goes.
        prefix: of the keys in Redis.
        count_only: leave everything as it is.

    Raises:
        StoreError: the store cannot be reached, or there is no such file.
    """
    path = sqlite_file(url)
    if path is None:
        return _erase_redis(url, match, prefix.encode(), count_only)
    return _erase_sqlite(path, match, count_only)


def _split(key: bytes) -> tuple[bytes, bytes, bytes]:
    name, _, rest = key.partition(b":")
    digest, between, values = rest.partition(b":")
    return name + b":" + digest, between, values


_RECEIPTS = {"receipts": "name", "receipt": "id"}
"""Tables of receipts and their keys; the second holds those named before."""


def _erase_sqlite(path: Path, match: ProfileMatch, count_only: bool) -> ProfileCounts:
    if not path.exists():
        raise StoreError(f"profile store: expected a file at {path}, found none")
    receipts = 0
    try:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            connection.execute("PRAGMA secure_delete = ON")
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            keys = _in_sqlite(connection, "profiles", "key", match.profile)
            if not count_only:
                _delete(connection, "profiles", "key", keys)
            for table in _RECEIPTS.keys() & tables:
                names = _in_sqlite(connection, table, _RECEIPTS[table], match.receipt)
                receipts += len(names)
                if not count_only:
                    _delete(connection, table, _RECEIPTS[table], names)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"profile store: {error}") from error
    return ProfileCounts(len(keys), receipts)


def _in_sqlite(
    connection: sqlite3.Connection, table: str, column: str, matches: Callable[[Any], bool]
) -> list[Any]:
    values = connection.execute(f"SELECT {column} FROM {table}")  # noqa: S608
    return [value for (value,) in values if matches(value)]


def _delete(connection: sqlite3.Connection, table: str, column: str, keys: list[Any]) -> None:
    for part in _parts(keys):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608
            [(key,) for key in part],
        )
        connection.execute("COMMIT")


def _erase_redis(url: str, match: ProfileMatch, prefix: bytes, count_only: bool) -> ProfileCounts:
    try:
        with redis.Redis.from_url(url, socket_timeout=30) as client:
            profiles = _in_redis(client, prefix + b"p:", match.profile)
            receipts = _in_redis(client, prefix + b"r:", lambda key: match.receipt(key.decode()))
            keys = list(profiles), list(receipts)
            for part in [] if count_only else _parts([*keys[0], *keys[1]]):
                client.unlink(*part)
    except redis.RedisError as error:
        raise StoreError(f"profile store: {error}") from error
    return ProfileCounts(len(keys[0]), len(keys[1]))


def _in_redis(
    client: redis.Redis, start: bytes, matches: Callable[[bytes], bool]
) -> Iterator[bytes]:
    for key in client.scan_iter(match=start + b"*", count=1000):
        if matches(key[len(start) :]):
            yield key


def _parts(keys: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]
