"""A Ray head of our own on this machine, with a token, that ends without touching anybody else's.

`ray stop` ends every Ray on a machine. Here the head runs as a child process group instead, on
ports nobody uses, and that group alone is ended. Nothing of it listens on anything but loopback.
`python -m cluster.local` runs one until Ctrl-C.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import tyro

from cluster.environment import serve_environment
from cluster.loopback import HOST, ONE_MACHINE, WORKER_HOOK
from lib.durable import make_private

ROOT = Path(__file__).parents[1]
_START_SECONDS = 90.0
_STOP_SECONDS = 8.0


@dataclass(frozen=True)
class LocalHead:
    """A running head.

    Attributes:
        address: what Ray clients connect to.
        dashboard: URL of dashboard and Jobs API; both refuse without the token.
        http_port: where Ray Serve will listen, on loopback.
        environment: what a process needs to talk to it, the token included.
    """

    address: str
    dashboard: str
    http_port: int
    environment: Mapping[str, str]

    def run(self, *command: str, log: Path | None = None) -> int:
        """Runs a command in the project's root with the head's environment; its exit status."""
        if log is not None:
            make_private(log)
        with nullcontext() if log is None else log.open("ab") as stream:
            done = subprocess.run(
                command, cwd=ROOT, env=self.environment, stdout=stream, stderr=stream, check=False
            )
        return done.returncode

    def capture(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command likewise; its exit status and what it printed."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )

    def submit(self, *entrypoint: str) -> subprocess.Popen[str]:
        """Submits a job through Ray's Jobs API with this tree.

        Returns:
            The process that follows the job's log on its standard output; it ends with the job.
        """
        options = (f"--address={self.dashboard}", f"--working-dir={ROOT}")
        return subprocess.Popen(
            (program("ray"), "job", "submit", *options, "--", *entrypoint),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def serve(self, log: Path) -> int:
        """Starts Ray Serve on loopback; what is deployed afterwards cannot open it wider."""
        port = str(self.http_port)
        return self.run(
            program("serve"), "start", "--http-host", HOST, "--http-port", port, log=log
        )


@dataclass(frozen=True)
class Head:
    """A Ray head with Ray Serve on 127.0.0.1, until Ctrl-C; the token is the one in use here."""

    cpus: int = max(4, os.cpu_count() or 1)
    """Logical cores that it offers; more than the machine has is fine."""
    port: int = 8000
    """Port of the service."""
    dashboard_port: int = 8265
    """Port of dashboard and Jobs API."""
    log: Path = Path("var/cluster/log")
    """Where the logs go."""


def main(options: Head) -> int:
    """Runs a head until it is interrupted."""
    from ray._raylet import AuthenticationTokenLoader  # noqa: PLC0415  (heavy)

    for port in (options.port, options.dashboard_port):
        if _in_use(port):
            raise SystemExit(f"error: port {port} of {HOST} is taken; --help says how to change it")
    os.environ["RAY_AUTH_MODE"] = "token"
    if not AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        raise SystemExit("error: no token; make one with `ray get-auth-token --generate`")
    print("starting Ray and Ray Serve", flush=True)
    ports, log = (options.port, options.dashboard_port), options.log
    # the default action would end this process and leave the head
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = local_head(log / "ray.log", options.cpus, *ports, own_token=False)
    with suppress(KeyboardInterrupt), started as head:
        if head.serve(log / "serve.log") != 0:
            raise SystemExit(f"error: Ray Serve did not start; see {log / 'serve.log'}")
        print(f"dashboard and jobs {head.dashboard} (with the token)")
        print(f"service            http://{HOST}:{head.http_port}")
        print("until Ctrl-C", flush=True)
        while True:
            signal.pause()
    return 0


@contextmanager
def local_head(
    log: Path,
    cpus: int,
    http_port: int | None = None,
    dashboard_port: int | None = None,
    *,
    own_token: bool = True,
) -> Iterator[LocalHead]:
    """Starts a head, and ends it and all that it started on leaving.

    Args:
        log: what the head prints.
        cpus: logical cores that it offers.
        http_port: Serve's port; None takes a free one.
        dashboard_port: of dashboard and Jobs API; None takes a free one.
        own_token: a token made for it; otherwise the one that this environment or user has.

    Raises:
        RuntimeError: if the head does not come up; the log says why.
    """
    make_private(log)
    with (
        log.open("wb") as output,
        tempfile.TemporaryDirectory(prefix="forewarn-", ignore_cleanup_errors=True) as scratch,
    ):
        head = _describe(http_port, dashboard_port, Path(scratch), own_token)
        process = subprocess.Popen(
            _start_command(head, cpus),
            cwd=ROOT,
            env=head.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _await(head, process, log)
            yield head
        finally:
            end_session(process)
            _forget(head)


def program(name: str) -> str:
    """The path of a console script of this environment."""
    return str(Path(sys.executable).parent / name)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface below those that Ray's workers take (10002-19999)."""
    ports: list[int] = []
    candidates = iter(range(20_000 + secrets.randbelow(8_000), 32_000))
    while len(ports) < count:
        port = next(candidates)
        if not _in_use(port):
            ports.append(port)
    return ports


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _describe(
    http_port: int | None, dashboard_port: int | None, scratch: Path, own_token: bool
) -> LocalHead:
    gcs, dashboard, http, stats, metrics, fallback_http, fallback_grpc, *others = free_ports(9)
    http = http_port or http
    dashboard = dashboard_port or dashboard
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **serve_environment(scratch, (stats, metrics, fallback_http, fallback_grpc)),
        **ONE_MACHINE,
        **WORKER_HOOK,
        **({"RAY_AUTH_TOKEN": secrets.token_hex(32)} if own_token else {}),
        # the tree is the working directory of replicas, and where the workers find the hook
        "PYTHONPATH": str(ROOT),
        "DASHBOARD_METRIC_PORT": str(others[0]),
        "AUTOSCALER_METRIC_PORT": str(others[1]),
        "RAY_ADDRESS": f"{HOST}:{gcs}",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "PYTHONWARNINGS": "ignore",
    }
    environment.pop("VIRTUAL_ENV", None)
    return LocalHead(f"{HOST}:{gcs}", f"http://{HOST}:{dashboard}", http, environment)


def _start_command(head: LocalHead, cpus: int) -> list[str]:
    agent_http, agent_grpc, metrics, client, environment = free_ports(5)
    return [
        program("ray"),
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        f"--node-ip-address={HOST}",
        f"--port={head.address.rpartition(':')[2]}",
        f"--num-cpus={cpus}",
        f"--dashboard-host={HOST}",
        f"--dashboard-port={head.dashboard.rpartition(':')[2]}",
        f"--dashboard-agent-listen-port={agent_http}",
        f"--dashboard-agent-grpc-port={agent_grpc}",
        f"--metrics-export-port={metrics}",
        f"--ray-client-server-port={client}",
        f"--runtime-env-agent-port={environment}",
    ]


def _await(head: LocalHead, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the Jobs API answers, with the token."""
    url, headers = f"{head.dashboard}/api/version", _bearer(head)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(httpx.HTTPError):
            if httpx.get(url, headers=headers, timeout=5, trust_env=False).is_success:
                return
        time.sleep(0.3)
    raise RuntimeError(f"the Ray head did not come up; its log is {log}")


def _bearer(head: LocalHead) -> dict[str, str]:
    """The token as Ray itself finds it: in the environment, in the file it names, or at home."""
    token = head.environment.get("RAY_AUTH_TOKEN")
    if token is None:
        named = head.environment.get("RAY_AUTH_TOKEN_PATH")
        token = Path(named or Path.home() / ".ray" / "auth_token").read_text()
    return {"Authorization": f"Bearer {token.strip()}"}


def _forget(head: LocalHead) -> None:
    """Removes Ray's note of a head that is gone; later programs would wait for it in vain."""
    note = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster"
    port = head.address.rpartition(":")[2]
    if note.exists() and note.read_text().strip().endswith(f":{port}"):
        note.unlink(missing_ok=True)


def end_session(process: subprocess.Popen[bytes], seconds: float = _STOP_SECONDS) -> None:
    """Ends a process that began a session, and all that is left of the session.

    What Ray starts has process groups of its own: a proxy that is killed leaves its HAProxy, which
    would hold the service's port.

    Args:
        process: started with `start_new_session`.
        seconds: that its process group has to end by itself.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in _session_members(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _session_members(session: int) -> list[int]:
    """The processes of a session, where the system lists processes as files."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(entry.name)) == session:
                members.append(int(entry.name))
    return members


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Head, description=Head.__doc__)))
