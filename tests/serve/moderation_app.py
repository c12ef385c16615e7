"""The moderation application in this process, with a tiny model and keys, without Ray."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from serve.framework.service import ServiceStart
from serve.moderation.metrics import INSTRUMENTS
from serve.moderation.routes import build_gateway
from serve.moderation.service import ModerationService
from serve.moderation.settings import ModerationSettings
from tests.moderation import small_model
from tests.moderation.media_factories import encoded
from tests.serve.application import (
    Application,
    SetClock,
    add_token,
    publish_champion,
    serving,
    settings_in,
)
from tests.serve.prometheus_metrics import PrometheusMetrics

SCOPES = (*(f"moderation:{scope}" for scope in ("label", "score", "review", "read")), "admin")
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


@dataclass(frozen=True)
class Running(Application):
    """The moderation application that runs."""

    system = "moderation"

    clock: SetClock

    async def settled(self) -> None:
        """Waits until what follows answers is done, and records are in the database."""
        await self.service.decision_store.drain()
        await self.service.rescorer.run_once()
        await self.service.outcomes.run_once()
        await self.service.background.wait_idle()


@cache
def harmless_picture() -> bytes:
    """A picture of a kind that the tiny model knows, and that violates nothing with any text."""
    pieces = small_model.parts()[2]
    stripes = pieces.images[pieces.image_kinds.index("stripes")]
    return encoded(Image.fromarray(stripes))


def published(folder: Path) -> Path:
    """A registry whose champion is the tiny model."""
    artifact = small_model.save(small_model.model(), folder / "model")
    return publish_champion(folder, "moderation", artifact, CREATED_AT)


def salt(folder: Path, text: str = "no second opinion") -> str:
    """Where a review queue finds its salt; with this one the post `p` gets no second opinion."""
    (folder / "salt").write_text(text)
    return f"file:{folder}/salt"


def arguments(
    folder: Path, registry: Path, reviewers: tuple[str, ...] | None = None, **changes: Any
) -> tuple[ModerationSettings, str]:
    """What an application in a folder is started with, and a key with every scope."""
    token = add_token(folder, SCOPES, reviewers=reviewers)
    settings = {
        "registry": str(registry),
        "profile_store": f"sqlite:///{folder}/authors.sqlite",
        "media": str(folder / "media"),
        "policies": POLICIES,
        "lists": LISTS,
        "device": "cpu",
        "rescore_seconds": 600.0,
        "follow_seconds": 600.0,
        **changes,
    }
    return ModerationSettings(**settings_in(folder, **settings)), token


@asynccontextmanager
async def moderation(folder: Path, registry: Path, **changes: Any) -> AsyncIterator[Running]:
    """The application in a folder."""
    args, token = arguments(folder, registry, **changes)
    clock = SetClock(NOW)
    meter = PrometheusMetrics(INSTRUMENTS)
    service = ModerationService(ServiceStart(args, meter, clock))
    async with serving(service, build_gateway(service), token) as client:
        yield Running(service, client, folder, meter, clock)


def sent(content: bytes) -> dict[str, str]:
    """Media as a caller sends them."""
    return {"content": base64.b64encode(content).decode()}


def png(pixels: np.ndarray) -> bytes:
    """An image without loss."""
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()
