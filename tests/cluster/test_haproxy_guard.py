from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from ray.serve._private import haproxy as ray_haproxy

from cluster.environment import GUARD, NODE, proxy_threads, serve_environment
from cluster.haproxy_guard import guarded, guarded_command, haproxy, read_limits
from tests.cluster.guarded_proxy import AS_RAY_WRITES_IT, guarded_proxy

_SERVERS = (("a", 30_000), ("b", 30_001), ("c", 30_002))
PAGE = Path("/x/unavailable.http")


def test_statistics_metrics_and_admin_socket_are_kept_to_this_machine() -> None:
    configuration = guarded(AS_RAY_WRITES_IT, PAGE, {"": 16})
    assert "bind 127.0.0.1:9101" in configuration
    assert "bind 127.0.0.1:8404" in configuration
    assert "mode 600 level admin" in configuration
    assert "bind *:8000" in configuration


@pytest.mark.parametrize("part", ["frontend prometheus", "listen stats", "mode 666", "defaults"])
def test_a_configuration_of_another_form_is_refused_rather_than_left_open(part: str) -> None:
    with pytest.raises(ValueError, match=r"expected one .* to correct, found 0"):
        guarded(AS_RAY_WRITES_IT.replace(part, "something else"), PAGE, {"": 16})


def test_what_the_replicas_cannot_take_is_refused_before_it_reaches_them() -> None:
    configuration = guarded(AS_RAY_WRITES_IT, PAGE, {"": 16, "fraud": 8})
    start = configuration.index("\nbackend http-fraud\n")
    backend = configuration[start : configuration.index("\nbackend http-fraud-public")].splitlines()
    (shed,) = (line for line in backend if "status 503" in line)
    assert any("nbsrv(http-fraud),mul(8)" in line for line in backend)
    assert any("nbsrv(http-fraud),mul(2)" in line for line in backend)
    assert "hdr Retry-After 1" in shed
    assert "!{ path /fraud/healthz /fraud/readyz }" in shed
    assert configuration.count("status 503") == 2
    assert f"errorfile 503 {PAGE}" in configuration


def test_requests_without_a_key_have_a_backend_of_their_own() -> None:
    configuration = guarded(AS_RAY_WRITES_IT, PAGE, {"": 16})
    rules = [line.strip() for line in configuration.splitlines() if "use_backend" in line]
    assert rules == [
        "use_backend http-fraud-public if { path_beg /fraud/ } "
        "!{ req.hdr(authorization) -m found } !{ req.hdr(x-api-key) -m found } "
        "!{ req.cook(forewarn_session) -m found }",
        "use_backend http-fraud if { path_beg /fraud/ }",
    ]
    public = configuration[configuration.index("backend http-fraud-public") :]
    assert "server a 127.0.0.1:30000 track http-fraud/a" in public
    assert "be_conn(http-fraud-public),sub(txn.most) gt 0" in public
    assert "listen stats" in public


def test_the_console_is_told_who_asks() -> None:
    frontend = guarded(AS_RAY_WRITES_IT, PAGE, {"": 16}).partition("frontend http_frontend")[2]
    added = "http-request add-header X-Forwarded-For %[src] if { path_beg /console/ }"
    assert frontend.index(added) < frontend.index("use_backend")


def test_replicas_do_not_watch_for_callers_that_hang_up() -> None:
    frontend = guarded(AS_RAY_WRITES_IT, PAGE, {"": 16}).partition("frontend http_frontend")[2]
    header = "http-request set-header X-Request-Disconnect-Disabled ?1\n"
    assert frontend.index(header) < frontend.index("use_backend")


def test_headers_must_be_whole_soon() -> None:
    assert "    timeout http-request 10s\n" in guarded(AS_RAY_WRITES_IT, PAGE, {"": 16})


def test_an_application_without_a_limit_is_left_as_it_is() -> None:
    configuration = guarded(AS_RAY_WRITES_IT, PAGE, {"": 16, "fraud": 0})
    assert "status 503" not in configuration
    assert "-public" not in configuration


def test_limits_are_read_for_all_and_for_one() -> None:
    assert read_limits("") == {"": 16}
    assert read_limits("8, moderation=4") == {"": 8, "moderation": 4}


@pytest.mark.parametrize("text", ["many", "1.5", "fraud=", "fraud=-1"])
def test_a_limit_that_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="FOREWARN_REQUESTS_PER_REPLICA: expected a number, or"):
        read_limits(text)


def assert_accepted(path: Path) -> None:
    """HAProxy finds no fault with a configuration as the guard corrects it."""
    checked = subprocess.run(
        [sys.executable, str(GUARD), "-c", "-f", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_haproxy_accepts_what_was_corrected(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(AS_RAY_WRITES_IT.replace("/x/500.http", str(tmp_path / "500.http")))
    (tmp_path / "500.http").write_text("HTTP/1.0 500 Error\r\n\r\n")
    assert_accepted(path)
    assert (tmp_path / "unavailable.http").read_text().startswith("HTTP/1.1 503 ")


def test_haproxy_accepts_what_ray_writes_for_applications(tmp_path: Path) -> None:
    servers = [ray_haproxy.ServerConfig(name, "127.0.0.1", port) for name, port in _SERVERS]
    backend = ray_haproxy.BackendConfig(
        name="http-fraud",
        path_prefix="/fraud",
        app_name="fraud",
        servers=servers[:2],
        fallback_server=servers[2],
    )
    path = tmp_path / "haproxy.cfg"
    settings = ray_haproxy.HAProxyConfig(socket_path=str(tmp_path / "s"))
    ray_haproxy.HAProxyApi(
        cfg=settings, backend_configs={backend.name: backend}, config_file_path=str(path)
    )._generate_config_file_internal()
    assert_accepted(path)
    written = path.with_name("haproxy.cfg.guarded").read_text()
    assert "server b 127.0.0.1:30001 track http-fraud/b\n" in written
    assert "server c 127.0.0.1:30002 track http-fraud/c backup\n" in written


def test_a_corrected_copy_takes_the_place_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(AS_RAY_WRITES_IT)
    command = guarded_command(["-db", "-f", str(path), "-sf", "17"])
    assert command[-2:] == ["-sf", "17"]
    assert "127.0.0.1:9101" in Path(command[2]).read_text()
    assert path.read_text() == AS_RAY_WRITES_IT


def test_the_guard_becomes_the_binary_that_comes_with_ray_serve() -> None:
    done = subprocess.run(
        [sys.executable, str(GUARD), "-v"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "HAProxy" in done.stdout
    assert haproxy().endswith("ray_haproxy/bin/haproxy")


def test_the_environment_names_the_guard_and_a_scratch_of_ones_own(tmp_path: Path) -> None:
    environment = serve_environment(tmp_path / "scratch", (1, 2, 3, 4), cores=2)
    assert NODE.items() <= environment.items()
    assert os.access(environment["RAY_SERVE_HAPROXY_BINARY_PATH"], os.X_OK)
    assert (tmp_path / "scratch").stat().st_mode & 0o077 == 0
    assert environment["RAY_SERVE_HAPROXY_NBTHREAD"] == "1"


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 2), (64, 4)])
def test_the_proxy_has_few_threads(cores: int, threads: int) -> None:
    assert proxy_threads(cores) == threads


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[int]:
    """The port of a guarded HAProxy before a server that answers at its leisure."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_answer, args=(server,), daemon=True)
        thread.start()
        with guarded_proxy(tmp_path, server.getsockname()[1], requests_per_replica=4) as port:
            yield port


def test_strangers_who_hold_connections_take_no_place_of_a_key(proxied: int) -> None:
    head = "POST /fraud/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    strangers = [_opened(proxied, head + "\r\n") for _ in range(40)]
    time.sleep(0.2)
    public = _opened(proxied, "GET /fraud/docs HTTP/1.1\r\nHost: x\r\n\r\n")
    health = _opened(proxied, "GET /fraud/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    keyed = _opened(proxied, "GET /fraud/a HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n\r\n")
    statuses = [connection.recv(12).split()[1] for connection in (public, health, keyed)]
    for connection in (*strangers, public, health, keyed):
        connection.close()
    assert statuses == [b"503", b"200", b"200"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("", False),
        ("X-Request-ID: \r\n", False),
        ("X-Request-ID: a b\r\n", False),
        ("X-Request-ID: mine-1\r\n", True),
    ],
)
def test_a_request_has_an_id_before_it_may_be_sent_twice(
    proxied: int, sent: str, kept: bool
) -> None:
    request = f"GET /fraud/echo HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n{sent}\r\n"
    with _opened(proxied, request) as connection:
        answer = connection.recv(4096).decode()
    (name,) = re.findall(r"(?im)^seen: (.*?)\r$", answer)
    assert (name == "mine-1") == kept
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", name)


def _get(port: int, path: str, *headers: str, host: str = "x") -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a GET, by their names in lower case."""
    lines = "".join(f"{header}\r\n" for header in (f"Host: {host}", *headers))
    with _opened(port, f"GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n") as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    first, *rest = answer.partition("\r\n\r\n")[0].split("\r\n")
    pairs = (header.partition(": ") for header in rest)
    return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}


@pytest.mark.parametrize("page", ["docs", "openapi.json", "static-offline-docs/a.js", "healthz"])
def test_a_page_for_everybody_reaches_a_replica_once(proxied: int, page: str) -> None:
    _, first = _get(proxied, f"/fraud/{page}", "X-Request-ID: one-1")
    _, again = _get(proxied, f"/fraud/{page}?x=1", "X-Request-ID: two-2", host="elsewhere")
    assert (first["answered"], again["answered"]) == ("1", "1")
    assert (first["x-request-id"], again["x-request-id"]) == ("one-1", "two-2")
    assert again["cache-control"] == ("max-age=1" if page == "healthz" else "max-age=60")


def test_health_is_asked_again_after_a_second(proxied: int) -> None:
    _, first = _get(proxied, "/fraud/readyz")
    time.sleep(1.2)
    _, later = _get(proxied, "/fraud/readyz")
    assert (first["answered"], later["answered"]) == ("1", "2")


def test_nothing_else_is_kept(proxied: int) -> None:
    answers = [_get(proxied, "/fraud/other") for _ in range(2)]
    answers += [_get(proxied, "/fraud/docs", "X-API-Key: k") for _ in range(2)]
    assert [headers["answered"] for _, headers in answers] == ["1", "2", "3", "4"]
    assert all("cache-control" not in headers for _, headers in answers)


@pytest.mark.parametrize("header", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_stranger_who_announces_a_body_is_refused_at_the_proxy(proxied: int, header: str) -> None:
    status, headers = _get(proxied, "/fraud/healthz", header)
    assert (status, headers["content-type"]) == (413, "application/problem+json")
    assert _get(proxied, "/fraud/healthz")[1]["answered"] == "1"


def _opened(port: int, request: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(request.encode())
    return connection


def _answer(server: socket.socket) -> None:
    """Answers 200 to a GET, with how many it was, and leaves everybody else waiting."""
    silent, answered = [], 0
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.settimeout(5)
        request = connection.recv(4096)
        if request.startswith(b"GET"):
            answered += 1
            request_ids = b",".join(re.findall(rb"(?im)^x-request-id: (.*?)\r$", request))
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nSeen: %b\r\n"
                b"X-Request-ID: %b\r\nAnswered: %d\r\n\r\nok" % (request_ids, request_ids, answered)
            )
            connection.close()
        else:
            silent.append(connection)
