"""Ray Serve with one of the applications in processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.environment import serve_environment

_LISTENING = "0A"


def environment(folder: Path) -> dict[str, str]:
    """What a Serve of one's own on this machine is started with."""
    statistics, metrics, http, grpc = free_ports(4)
    return {
        **os.environ,
        **serve_environment(folder, (statistics, metrics, http, grpc)),
        "RAY_AUTH_MODE": "disabled",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
    }


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


class RayServer:
    """The server as a test sees it.

    Args:
        folder: for its files.
        args: of the application, JSON values.
        extra: beside what the environment of a node is.
        system: whose application it is.
    """

    def __init__(
        self,
        folder: Path,
        args: dict[str, Any],
        extra: Mapping[str, str] | None = None,
        system: str = "fraud",
    ) -> None:
        self.port = free_ports(1)[0]
        self._args, self._system = args, system
        # a socket's path may have 107 bytes
        short = Path(f"/tmp/fw-{os.getpid()}")
        short.mkdir(exist_ok=True)
        self._errors = (folder / "ray-server.err").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.serve.ray_server_main", str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**environment(short), **(extra or {})},
            text=True,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def deploy(
        self,
        front: dict[str, Any] | None = None,
        ensemble: dict[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        """Deploys, or changes nothing but `user_config`; other arguments replace the replicas."""
        self._args.update(changes)
        configs = {"Front": front, "Ensemble": ensemble}
        application = {
            "name": self._system,
            "route_prefix": f"/{self._system}",
            "import_path": f"serve.{self._system}.app:build",
            "args": self._args,
            "deployments": [
                {"name": name, "user_config": config} for name, config in configs.items() if config
            ],
        }
        self._exchange({"applications": [application]}, "ready")

    def ask(self, deployment: str, method: str) -> Any:
        """What a method without arguments of a replica returns, as JSON has it."""
        request = {"application": self._system, "deployment": deployment, "method": method}
        return json.loads(self._exchange({"ask": request}, "answer "))

    def _exchange(self, line: dict[str, Any], prefix: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        for reply in self._process.stdout:
            if reply.startswith(prefix):
                return reply.removeprefix(prefix)
        raise RuntimeError("the server ended; see ray-server.err")

    @property
    def process(self) -> int:
        """The process that everything else is below of."""
        return self._process.pid

    def replicas(self, deployment: str) -> list[int]:
        """Process ids of a deployment's replicas."""
        name = f"ray::ServeReplica:{self._system}:{deployment}"
        return [pid for pid in descendants(self._process.pid) if command(pid).startswith(name)]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


def descendants(process: int) -> list[int]:
    """Every process below one (Linux)."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(folder.name))
    pids, waiting = [], [process]
    while waiting:
        below = parents.get(waiting.pop(), [])
        pids += below
        waiting += below
    return pids


def command(process: int) -> str:
    """The command line of a process; empty once it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def listening_ports(process: int) -> set[int]:
    """The TCP ports a process listens on (Linux)."""
    sockets = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(str(descriptor.readlink()).removeprefix("socket:[").rstrip("]"))
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and fields[9] in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
