"""Real servers and settings that several rooms' tests share."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

os.environ.setdefault("RAY_AUTH_MODE", "disabled")
# workers are niced by 15 otherwise, and wait for everything else on a busy machine
os.environ.setdefault("RAY_worker_niceness", "0")
# an example's time says more about the machine than about the code
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def ray_on_two_cores() -> Iterator[None]:
    """A small Ray for the tests of one module."""
    from tests.local_ray import local_ray  # noqa: PLC0415 - takes seconds, most tests need none

    with local_ray(num_cpus=2):
        yield


def on_two_cores(minutes: int) -> list[pytest.MarkDecorator]:
    """Marks of a module whose tests share a small Ray and may take so long each."""
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
