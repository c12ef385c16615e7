"""Ray Serve with the fraud application in processes of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

_FRONT, _ENSEMBLE = "Front", "Ensemble"


def environment(folder: Path) -> dict[str, str]:
    """What a Serve of one's own on this machine is started with."""
    ports = free_ports(8)
    return {
        **os.environ,
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{folder}/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{folder}/haproxy.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{folder}/haproxy-state",
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports[0]),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports[1]),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
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
    """

    def __init__(self, folder: Path, args: dict[str, Any]) -> None:
        self.port = free_ports(1)[0]
        self._args = args
        # a socket's path may have 107 bytes
        short = Path(f"/tmp/fw-{os.getpid()}")
        short.mkdir(exist_ok=True)
        self._errors = (folder / "ray-server.err").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.serve.ray_server_main", str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(short),
            text=True,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def deploy(
        self, front: dict[str, Any] | None = None, ensemble: dict[str, Any] | None = None
    ) -> None:
        """Deploys, or changes nothing but `user_config`."""
        configs = {_FRONT: front, _ENSEMBLE: ensemble}
        application = {
            "name": "fraud",
            "route_prefix": "/fraud",
            "import_path": "serve.fraud.app:build",
            "args": self._args,
            "deployments": [
                {"name": name, "user_config": config} for name, config in configs.items() if config
            ],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"applications": [application]}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.strip() == "ready":
                return
        raise RuntimeError("the server ended; see ray-server.err")

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas."""
        name = f"ray::ServeReplica:fraud:{deployment}"
        everything = psutil.Process(self._process.pid).children(recursive=True)
        return [one for one in everything if _command(one).startswith(name)]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
