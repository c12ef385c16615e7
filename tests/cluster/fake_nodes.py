"""A head with Ray's fake node provider: nodes are raylets that the autoscaler starts and ends.

Ray's own `AutoscalingCluster` reads a file that its wheel lacks, and ends every Ray of the machine
when it starts; this one has a process group, ports and a directory of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

HEAD_TYPE = "ray.head.default"


class FakeNodes:
    """Starts on entering, ends with all its nodes on leaving.

    Args:
        node_types: name -> what the launcher's file says of a node type.
        idle_minutes: after which a node that does nothing goes.
        head_cpus: cores of the head.
    """

    def __init__(
        self, node_types: Mapping[str, Mapping[str, Any]], idle_minutes: float, head_cpus: int = 1
    ) -> None:
        self._types = dict(node_types)
        self._idle = idle_minutes
        self._head_cpus = head_cpus
        self._folder = tempfile.TemporaryDirectory(prefix="fn", ignore_cleanup_errors=True)
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"127.0.0.1:{self._port}"

    def __enter__(self) -> FakeNodes:
        folder = Path(self._folder.name)
        config = folder / "cluster.yaml"
        config.write_text(json.dumps(self._configuration()))
        self._log = (folder / "head.log").open("wb")
        self._process = subprocess.Popen(
            self._command(config),
            env=self.environment | {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait_until_up(time.monotonic() + 60)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        _end(self._process, self._folder.name)
        self._log.close()
        self._folder.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        """What a driver is started with to work here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return kept | {
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ADDRESS": self.address,
            "RAY_worker_niceness": "0",
            "AUTOSCALER_METRIC_PORT": str(_free_port()),
        }

    def _configuration(self) -> dict[str, Any]:
        head = {"resources": {"CPU": self._head_cpus}, "node_config": {}, "max_workers": 0}
        types = {
            name: {"node_config": {}, "min_workers": 0, **options}
            for name, options in self._types.items()
        }
        return {
            "cluster_name": "fake",
            "max_workers": sum(int(node_type["max_workers"]) for node_type in types.values()),
            "idle_timeout_minutes": self._idle,
            "upscaling_speed": 1.0,
            "provider": {
                "type": "fake_multinode",
                "gcs_address": self.address,
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
            },
            "available_node_types": {**types, HEAD_TYPE: head},
            "head_node_type": HEAD_TYPE,
            "auth": {},
            "docker": {},
            "file_mounts": {},
            "cluster_synced_files": [],
            "file_mounts_sync_continuously": False,
            "rsync_exclude": [],
            "rsync_filter": [],
            "initialization_commands": [],
            "setup_commands": [],
            "head_setup_commands": [],
            "worker_setup_commands": [],
            "head_start_ray_commands": [],
            "worker_start_ray_commands": [],
        }

    def _command(self, config: Path) -> list[str]:
        ray = str(Path(sys.executable).parent / "ray")
        return [
            *(ray, "start", "--head", "--block", f"--autoscaling-config={config}"),
            *(f"--port={self._port}", f"--num-cpus={self._head_cpus}", "--num-gpus=0"),
            *("--include-dashboard=false", f"--temp-dir={self._folder.name}/r"),
            *(f"--ray-client-server-port={_free_port()}", "--node-ip-address=127.0.0.1"),
            *(f"--dashboard-agent-listen-port={_free_port()}",),
            *("--min-worker-port=0", "--max-worker-port=0", "--object-store-memory=200000000"),
        ]

    def _wait_until_up(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            log = Path(self._folder.name, "head.log").read_text(errors="replace")
            if "Ray runtime started" in log:
                return
            time.sleep(0.2)
        raise TimeoutError(f"the head did not start: {log}")


def _end(head: subprocess.Popen[bytes], folder: str) -> None:
    """End the head and whatever else was started below its directory or by its processes."""
    ours = [
        head.pid,
        *(process.pid for process in psutil.Process(head.pid).children(recursive=True)),
    ]
    head.send_signal(signal.SIGTERM)
    for process in psutil.process_iter(["cmdline", "environ"]):
        if folder in " ".join(process.info["cmdline"] or ()):
            ours.append(process.pid)
    for pid in ours[1:]:
        with_pid = psutil.Process(pid) if psutil.pid_exists(pid) else None
        if with_pid is not None:
            with_pid.kill()
    head.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
