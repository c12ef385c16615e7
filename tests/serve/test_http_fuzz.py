"""Any request gets 2xx, 4xx or 503 from every application, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.records.systems import SYSTEMS
from tests.records.server import installed, new_database, running
from tests.serve.conftest import Models
from tests.serve.fuzz_targets import fuzz_target
from tests.serve.fuzzing import fuzzed

pytestmark = pytest.mark.timeout(300)
EXAMPLES = 4


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not installed():
        pytest.skip("no PostgreSQL")
    with running() as url:
        yield url


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_request_is_a_fault_of_ours(
    system: str, tmp_path: Path, models: Models, server: str
) -> None:
    with fuzz_target(system, tmp_path / "a", new_database(server), models) as application:
        outcome = fuzzed(application, EXAMPLES)
    assert outcome.faults == []
    assert outcome.requests > 50


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_no_request_is_a_fault_of_ours_on_sqlite(
    system: str, tmp_path: Path, models: Models
) -> None:
    folder = tmp_path / "a"
    with fuzz_target(system, folder, f"sqlite:///{tmp_path}/r.sqlite", models) as application:
        outcome = fuzzed(application, 5 * EXAMPLES, number=1)
    assert outcome.faults == []
