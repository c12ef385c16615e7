"""The fraud application on Ray Serve with Redis, to be measured and mistreated."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.access import add_key, new_key
from serve.fraud.settings import FraudSettings
from tests.benchmarks.fraud_latency import payments, train_model
from tests.serve.ray_server import RayServer, command, descendants
from tests.serve.redis_process import RedisProcess

_PAGES = "/proc/{}/statm"
_PAGE_BYTES = 4096
USERS = 2_000


@dataclass(frozen=True)
class Served:
    """What runs.

    Attributes:
        server: Ray Serve in processes of its own.
        store: Redis.
        folder: everything the application writes.
        registry: with the model as champion.
        token: a key that may do everything.
    """

    server: RayServer
    store: RedisProcess
    folder: Path
    registry: Path
    token: str

    @property
    def records(self) -> str:
        """URL of the database of decisions."""
        return f"sqlite:///{self.folder}/records.sqlite"

    def memory(self) -> dict[str, float]:
        """Resident MiB of the application's processes, the proxy among them, by name."""
        mib_by_kind: dict[str, float] = {}
        for process in descendants(self.server.process):
            name = command(process)
            kind = "haproxy" if "haproxy" in name.split(" ")[0] else name.strip()
            if kind == "haproxy" or kind.startswith("ray::ServeReplica:"):
                mib_by_kind[kind] = mib_by_kind.get(kind, 0.0) + _resident(process)
        return mib_by_kind


@contextmanager
def served(
    registry: Path, args: Mapping[str, Any], extra: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """Starts it and ends it.

    Args:
        registry: with a fraud champion.
        args: of the application, beside its places.
        extra: of the environment of the node.
    """
    with tempfile.TemporaryDirectory(prefix="fw-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        token, record = new_key(
            ["fraud:score", "fraud:label", "fraud:read"], time.time_ns() // 1000
        )
        add_key(folder / "keys.json", record)
        store = RedisProcess(folder)
        store.start()
        settled = FraudSettings(
            registry=str(registry),
            profile_store=store.url,
            records=f"sqlite:///{folder}/records.sqlite",
            journal=folder / "journal",
            models=folder / "models",
            api_keys=folder / "keys.json",
            log=folder / "log.jsonl",
            **args,
        )
        server = RayServer(folder, json.loads(settled.model_dump_json()), extra)
        try:
            server.deploy()
            yield Served(server, store, folder, registry, token)
        finally:
            server.close()
            store.stop()


@dataclass(frozen=True)
class ModelChoice:
    """Which model is measured."""

    model: str = ""
    """Registry with a fraud champion; none trains one on simulated payments."""
    keep: str = ""
    """Directory to keep the trained model in, and to take it from the next time."""

    def registry(self, folder: Path) -> Path:
        """The registry of `model`, else one with a model trained now, in `keep` if given."""
        if self.model:
            return Path(self.model)
        output = Path(self.keep) if self.keep else folder
        if not (output / "registry").exists():
            train_model(output / "registry", output, payments(USERS))
        return output / "registry"


def _resident(process: int) -> float:
    try:
        pages = int(Path(_PAGES.format(process)).read_text().split()[1])
    except OSError:
        return 0.0
    return pages * _PAGE_BYTES / 2**20
