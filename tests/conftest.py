"""Real servers and settings that several rooms' tests share."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import settings

from tests.long_files import LONGEST_FIRST

if TYPE_CHECKING:
    from tests.console.seeded import Seeded

TESTS = Path(__file__).parent
_MEMORY = Path("/dev/shm")
_ROOM = 8 << 30
"""Bytes of memory for the tests' files."""

os.environ.setdefault("RAY_AUTH_MODE", "disabled")
# workers are niced by 15 otherwise, and wait for everything else on a busy machine
os.environ.setdefault("RAY_worker_niceness", "0")
# each fit on Ray Train would start a process that waits for a cloud to take a node away
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
# an example's time says more about the machine than about the code
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def has_room_in_memory() -> bool:
    """Whether the tests' files fit into a file system in memory, from which programs may start."""
    if not _MEMORY.is_dir():
        return False
    about = os.statvfs(_MEMORY)
    return about.f_bavail * about.f_frsize >= _ROOM and not about.f_flag & os.ST_NOEXEC


if has_room_in_memory():
    # nothing outlives the run, so nobody needs to wait until a disk has each commit
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run on several workers, put files that take long first: none works alone at the end."""
    if hasattr(config, "workerinput"):
        ranks = {TESTS / path: rank for rank, path in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends the Ray that files share before one that uses none: its processes are never idle."""
    ray = sys.modules.get("ray")
    if ray is None or nextitem is None or nextitem.path == item.path:
        return
    following = (other for other in item.session.items if other.path == nextitem.path)
    if not any("ray_on_two_cores" in getattr(other, "fixturenames", ()) for other in following):
        ray.shutdown()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def ray_at_the_end() -> Iterator[None]:
    """Shuts down the Ray that modules share."""
    yield
    import ray  # noqa: PLC0415 - takes seconds, most tests need none

    ray.shutdown()


@pytest.fixture(scope="module")
def ray_on_two_cores(ray_at_the_end: None) -> None:
    """A small Ray, the same for all modules of a process that use it."""
    from tests.local_ray import share_ray  # noqa: PLC0415 - takes seconds, most tests need none

    share_ray()


def on_two_cores(minutes: int) -> list[pytest.MarkDecorator]:
    """Marks of a module whose tests use the small Ray and may take so long each."""
    return [
        pytest.mark.filterwarnings("default"),
        pytest.mark.timeout(60 * minutes),
        pytest.mark.usefixtures("ray_on_two_cores"),
    ]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real redis-server of our own; CI fails where it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed: apt-get install redis-server")
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    folder: Path = tmp_path_factory.mktemp("redis")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        url = f"redis://127.0.0.1:{port}/0"
        _wait_for(url)
        yield url
        server.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


@pytest.fixture(scope="session")
def small_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small simulated fleet; `tests.maintenance.small_fleet.trained` has its model."""
    # only those who ask for it wait for torch and the solver
    from tests.maintenance.small_fleet import write  # noqa: PLC0415

    return write(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="session")
def seeded_once(tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    """Four systems that have lived for a week, of which others are copied."""
    # only those who ask for it wait for the solver
    from tests.console.seeded import seed  # noqa: PLC0415

    return seed(tmp_path_factory.mktemp("seeded") / "lived")
