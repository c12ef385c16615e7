"""Stores of profiles that the tests of customers run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lib.feature import ProfileStore, RedisStore, SqliteStore


@pytest.fixture(params=["sqlite", "redis"])
def profile_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProfileStore]:
    if request.param == "sqlite":
        store: ProfileStore = SqliteStore(tmp_path / "profiles.sqlite")
    else:
        store = RedisStore(request.getfixturevalue("redis_url"), f"{tmp_path.name}:")
    with closing(store):
        yield store
