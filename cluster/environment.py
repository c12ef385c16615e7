"""The environment that every process of a cluster is started with, named in one place.

Ray reads these variables when a node or Serve starts; set later they do nothing. The launcher's
file, the Dockerfile and the Kubernetes manifests carry the same ones, and a test compares them.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cluster.haproxy_guard import haproxy

GUARD = Path(__file__).parent / "haproxy_guard.py"
_MOST_PROXY_THREADS = 4

NODE: Mapping[str, str] = {
    # jobs, dashboard and nodes refuse whoever does not show the token
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # both together make Serve ten times faster; either alone does not
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # a line per request through a Python process otherwise; the gateway counts requests itself
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # a replica died with the request in its hands: another one gets it; every endpoint takes the
    # same request twice without doing its work twice
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
    # 100 MB and five older ones of each log of Ray's own
    "RAY_ROTATION_MAX_BYTES": "100000000",
    "RAY_ROTATION_BACKUP_COUNT": "5",
    # Ray nices workers by 15 otherwise, and a busy machine starves the service
    "RAY_worker_niceness": "0",
    # one row is scored at a time; libraries that spread it over threads only wait for each other
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def proxy_threads(cores: int | None = None) -> int:
    """Threads of HAProxy: a quarter of the cores, as waking one costs more than it does.

    Args:
        cores: of the node; None asks the machine.
    """
    cores = cores or os.cpu_count() or 1
    return max(1, min(_MOST_PROXY_THREADS, cores // 4))


def serve_environment(
    scratch: Path, ports: tuple[int, int, int, int], cores: int | None = None
) -> dict[str, str]:
    """What a node that runs replicas is started with, so that only Serve's own port is open.

    Args:
        scratch: directory for the proxy's configuration and its admin socket, readable by this
            user alone; its path has 80 bytes at most, as a socket's may have 107.
        ports: of the proxy's statistics and metrics, and of the fallback proxy's HTTP and gRPC.
        cores: of the node; None asks the machine.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    scratch.chmod(stat.S_IRWXU)
    statistics, metrics, http, grpc = map(str, ports)
    return {
        **NODE,
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(GUARD),
        # this Python knows where it is; the one that the guard is started with may not
        "FOREWARN_HAPROXY": haproxy(),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(proxy_threads(cores)),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(scratch / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(scratch / "haproxy.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(scratch),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(scratch / "haproxy-state"),
        "RAY_SERVE_HAPROXY_STATS_PORT": statistics,
        "RAY_SERVE_HAPROXY_METRICS_PORT": metrics,
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": http,
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": grpc,
    }
