"""The databases of the records, and four systems that have lived for a week."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.seeded import Seeded
from tests.records.conftest import opened, postgresql, url

__all__ = ["lived", "opened", "own", "postgresql", "url"]


@pytest.fixture(scope="module")
def lived(seeded_once: Seeded, tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    """Shared by the tests of a module that change nothing."""
    return seeded_once.copied(tmp_path_factory.mktemp("console") / "lived")


@pytest.fixture
def own(seeded_once: Seeded, tmp_path: Path) -> Seeded:
    """A test's own, which it may change."""
    return seeded_once.copied(tmp_path / "own")
