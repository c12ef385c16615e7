"""With everything up, nothing but loopback listens; jobs and dashboard ask for the token."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster.local import LocalHead, local_head

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHead]:
    folder = tmp_path_factory.mktemp("head")
    with local_head(folder / "ray.log", cpus=2) as started:
        assert started.serve(folder / "serve.log") == 0
        yield started


def listening() -> dict[str, set[int]]:
    """Ports by address of all that this test has started."""
    ports: dict[str, set[int]] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:  # it ended meanwhile
            continue
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN:
                ports.setdefault(connection.laddr.ip, set()).add(connection.laddr.port)
    return ports


def status_of(url: str, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_scan_finds_loopback_alone(head: LocalHead, capsys: pytest.CaptureFixture[str]) -> None:
    addresses = listening()
    with capsys.disabled():
        print({address: len(ports) for address, ports in addresses.items()})
    assert head.http_port in addresses["127.0.0.1"]
    assert len(addresses["127.0.0.1"]) > 5
    assert set(addresses) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/version", "/nodes?view=summary"])
def test_dashboard_and_jobs_refuse_without_the_token(head: LocalHead, path: str) -> None:
    url = head.dashboard + path
    assert status_of(url, None) == 401
    assert status_of(url, "0" * 64) == 403
    assert status_of(url, head.environment["RAY_AUTH_TOKEN"]) == 200


def test_the_proxys_files_are_this_users_alone(head: LocalHead) -> None:
    folder = Path(head.environment["RAY_SERVE_HAPROXY_SOCKET_PATH"]).parent
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.stat().st_uid == os.getuid()
