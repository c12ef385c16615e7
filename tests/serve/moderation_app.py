"""The moderation application in this process, with a tiny model and keys, without Ray."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from lib.access import add_key, new_key
from lib.registry import Registry
from serve.framework import PrometheusMetrics
from serve.moderation.metrics import INSTRUMENTS
from serve.moderation.routes import build_gateway
from serve.moderation.service import ModerationService
from serve.moderation.settings import ModerationSettings
from tests.moderation import small_model

SCOPES = tuple(f"moderation:{scope}" for scope in ("label", "score", "review", "read"))
CREATED_AT = 1_795_428_900_000_000
SECOND = 1_000_000
NOW = CREATED_AT + 3_600 * SECOND
POLICIES = """\
version: 1
views_that_double: 1000
policies:
""" + "".join(
    f"""\
  - id: {name}
    description: no {name}
    severity: {severity}
    version: 1
    costs: {{wrong_removal: 8, missed_violation: 10, review: 1.5}}
"""
    for name, severity in zip(small_model.POLICIES, (4, 2, 4, 3, 3), strict=True)
)
LISTS = """\
version: 1
entries:
  - {id: slur, word: blockedword, action: remove, policy: hate, spaced: true}
  - {id: doubtful, word: doubtfulword, action: review, policy: offensive}
"""


@dataclass
class Clock:
    """The time that the application goes by."""

    us: int = NOW

    def __call__(self) -> int:
        return self.us


@dataclass(frozen=True)
class Running:
    """An application that runs, and a caller with every scope."""

    service: ModerationService
    client: httpx.AsyncClient
    folder: Path
    clock: Clock

    async def post(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        """An answer, which must have this status."""
        answer = await self.client.post(f"/moderation/{path}", content=json.dumps(body))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, status: int = 200) -> dict[str, Any]:
        """The same for a look."""
        answer = await self.client.get(f"/moderation/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    async def settled(self) -> None:
        """Waits until what follows answers is done, and records are in the database."""
        await self.service.decision_store.drain()
        await self.service.rescorer.run_once()
        await self.service.background.wait_idle()


def published(folder: Path) -> Path:
    """A registry whose champion is the tiny model."""
    registry = Registry(folder / "registry")
    version = registry.publish(
        small_model.save(small_model.model(), folder / "model"), "moderation"
    )
    registry.set_alias("moderation", "champion", version, at=CREATED_AT, by="test")
    return folder / "registry"


def salt(folder: Path, text: str = "no second opinion") -> str:
    """Where a review queue finds its salt; with this one the post `p` gets no second opinion."""
    (folder / "salt").write_text(text)
    return f"file:{folder}/salt"


def arguments(
    folder: Path, registry: Path, reviewers: tuple[str, ...] | None = None, **changes: Any
) -> tuple[ModerationSettings, str]:
    """What an application in a folder is started with, and a key with every scope."""
    token, record = new_key(SCOPES, time.time_ns() // 1000, reviewers=reviewers)
    folder.mkdir(exist_ok=True)
    add_key(folder / "keys.json", record)
    args = ModerationSettings(
        **{
            "registry": str(registry),
            "profile_store": f"sqlite:///{folder}/authors.sqlite",
            "records": f"sqlite:///{folder}/records.sqlite",
            "journal": folder / "journal",
            "models": folder / "models",
            "media": str(folder / "media"),
            "policies": POLICIES,
            "lists": LISTS,
            "api_keys": folder / "keys.json",
            "log": folder / "log.jsonl",
            "device": "cpu",
            "deadline_ms": 30_000.0,
            "store_timeout_ms": 5_000.0,
            "drain_seconds": 0.05,
            "rescore_seconds": 600.0,
            "follow_seconds": 600.0,
            **changes,
        }
    )
    return args, token


@asynccontextmanager
async def moderation(folder: Path, registry: Path, **changes: Any) -> AsyncIterator[Running]:
    """The application in a folder."""
    args, token = arguments(folder, registry, **changes)
    clock = Clock()
    service = ModerationService(args, PrometheusMetrics(INSTRUMENTS), now=clock)
    transport = httpx.ASGITransport(build_gateway(service))
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        service.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client,
    ):
        await service.reconfigure({})
        yield Running(service, client, folder, clock)


def sent(content: bytes) -> dict[str, str]:
    """Media as a caller sends them."""
    return {"content": base64.b64encode(content).decode()}


def png(pixels: np.ndarray) -> bytes:
    """An image without loss."""
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()
