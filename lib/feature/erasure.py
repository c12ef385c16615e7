"""Takes a person or thing out of a profile store: every profile with it in its key, and receipts.

Keys are looked through, as a store has no index by value.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import redis

from lib.feature.declaration import FeatureSet
from lib.feature.layout import Layout
from lib.feature.store import StoreError, sqlite_file

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


def _erase_sqlite(path: Path, match: ProfileMatch, count_only: bool) -> ProfileCounts:
    if not path.exists():
        raise StoreError(f"profile store: expected a file at {path}, found none")
    counts: Counter[bool] = Counter()
    try:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            # the table receipt holds those named before receipts had sets and kinds
            for table, column in (("profiles", "key"), ("receipts", "name"), ("receipt", "id")):
                is_profile = table == "profiles"
                if not is_profile and table not in tables:
                    continue
                matches: Callable[[Any], bool] = match.profile if is_profile else match.receipt
                stored = connection.execute(f"SELECT {column} FROM {table}")  # noqa: S608
                keys = [key for key in stored if matches(*key)]
                counts[is_profile] += len(keys)
                for part in [] if count_only else _parts(keys):
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", part)  # noqa: S608
                    connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        raise StoreError(f"profile store: {error}") from error
    return ProfileCounts(counts[True], counts[False])


def _erase_redis(url: str, match: ProfileMatch, prefix: bytes, count_only: bool) -> ProfileCounts:
    try:
        with redis.Redis.from_url(url, socket_timeout=30) as client:
            profiles = _in_redis(client, prefix + b"p:", match.profile)
            receipts = _in_redis(client, prefix + b"r:", lambda key: match.receipt(key.decode()))
            for part in [] if count_only else _parts([*profiles, *receipts]):
                client.unlink(*part)
    except redis.RedisError as error:
        raise StoreError(f"profile store: {error}") from error
    return ProfileCounts(len(profiles), len(receipts))


def _in_redis(client: redis.Redis, start: bytes, matches: Callable[[bytes], bool]) -> list[bytes]:
    keys = client.scan_iter(match=start + b"*", count=1000)
    return [key for key in keys if matches(key[len(start) :])]


def _parts(keys: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]
