"""Ray Serve's HAProxy, corrected by the guard, before a server of this machine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.environment import GUARD

AS_RAY_WRITES_IT = """global
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
    default-server fastinter 250ms downinter 250ms fall 2 rise 2 inter 5s check
    server a 127.0.0.1:30000 check
listen stats
  bind *:8404
  stats enable
"""


@contextmanager
def guarded_proxy(folder: Path, server: int, requests_per_replica: int) -> Iterator[int]:
    """The port of a guarded HAProxy, whose application `/fraud` is answered by one server.

    Args:
        folder: for its configuration and socket.
        server: port of the server on this machine.
        requests_per_replica: limit of the guard; see `cluster.haproxy_guard`.
    """
    ports = [_free_port() for _ in range(3)]
    text = AS_RAY_WRITES_IT.replace("*:8000", f"127.0.0.1:{ports[0]}")
    text = text.replace(":9101", f":{ports[1]}").replace("*:8404", f"*:{ports[2]}")
    text = text.replace("127.0.0.1:30000 check", f"127.0.0.1:{server} check")
    text = text.replace("/tmp/x/admin.sock", str(folder / "s"))
    text = text.replace("/x/500.http", str(folder / "unavailable.http"))
    path = folder / "haproxy.cfg"
    path.write_text(text)
    command = [sys.executable, str(GUARD), "-db", "-f", str(path)]
    environment = {**os.environ, "FOREWARN_REQUESTS_PER_REPLICA": str(requests_per_replica)}
    with subprocess.Popen(command, env=environment) as process:
        try:
            _await(ports[0])
            yield ports[0]
        finally:
            process.terminate()


def _await(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("HAProxy did not start")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
