"""Hostile media at the moderation application: answers, and memory at the peak.

The application runs in this process with a tiny model of simulated posts, its decoders beside it.
Each post holds one medium of a few kilobytes to megabytes that would cost a decoder gigabytes or
minutes. No answer may be ALLOW or a fault of the service, and no post may take 170 MB or more
beyond what the service and its decoders held before it. Exits with 1 where one of these fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lib.moderation.media.decoder_pool import shared_pool
from tests.benchmarks.result import print_result
from tests.moderation import small_model
from tests.moderation.hostile_media import Bomb, bombs
from tests.moderation.media_factories import brightening, encoded, scene, video
from tests.repeated import repeated
from tests.serve.moderation_app import Running, moderation, published, sent

_MOST_MB = 170.0
_SAMPLE_SECONDS = 0.002
_PIECE_BYTES = 1 << 16


class Memory:
    """The memory of this process and of its children, in MB, and the peak of its samples."""

    def __init__(self) -> None:
        self.peak = 0.0

    def now(self) -> float:
        """Resident memory at this moment."""
        own = os.getpid()
        children: set[int] = set()
        for task in Path(f"/proc/{own}/task").iterdir():
            try:
                children |= {int(child) for child in (task / "children").read_text().split()}
            except OSError:  # a thread that has ended
                continue
        # until it runs a program of its own, a child shows this process's memory as its own
        program = _program(own)
        running = [child for child in children if _program(child) != program]
        return sum(_resident(process) for process in (own, *running)) / 1e6

    def sample(self) -> None:
        """Look once more."""
        self.peak = max(self.peak, self.now())


def _resident(process: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _program(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_run(Path(folder)))
    print_result(figures["files"], figures.pop("seconds"), benchmark="media_bombs", **figures)
    sys.exit(1 if figures["unexpected"] or figures["largest_growth_mb"] >= _MOST_MB else 0)


async def _run(folder: Path) -> dict[str, Any]:
    registry = published(folder)
    async with moderation(folder / "a", registry) as app:
        # what good posts need anyway: models, decoders, buffers of a large body
        large = [sent(encoded(scene(1).resize((6_000, 4_000)), quality=60))] * 4
        await _judged(app, "large", {"images": large, "video": sent(video(brightening(20)))})
        started, rows = time.perf_counter(), []
        for number, bomb in enumerate(bombs()):
            rows.append(await _attack(app, number, bomb))
        figures = [row["grown_mb"] for row in rows]
        return {
            "files": len(rows),
            "unexpected": [row["fault"] for row in rows if row["fault"]],
            "largest_growth_mb": round(max(figures), 1),
            "worst": max(rows, key=lambda row: row["grown_mb"])["name"],
            "slowest_s": round(max(row["seconds"] for row in rows), 2),
            "seconds": time.perf_counter() - started,
        }


async def _attack(app: Running, number: int, bomb: Bomb) -> dict[str, Any]:
    """Send one post and a good one; what it took, and what was not as expected."""
    medium = sent(bomb.content)
    fields = {"video": medium} if bomb.kind == "video" else {"images": [medium]}
    request = _request(f"post-{number}", {"text": "fine", **fields})
    await _decoder_is_ready()
    memory = Memory()
    with repeated(memory.sample, _SAMPLE_SECONDS):
        before = memory.now()
        started = time.perf_counter()
        status, answer = await _answered(app, request)
        seconds = time.perf_counter() - started
    grown = max(0.0, memory.peak - before)
    good, after = await _judged(app, f"good-{number}", {"text": small_model.parts()[2].texts[0]})
    reasons = [medium["reason"] for medium in answer.get("undecoded", [])]
    outcome = f"{answer.get('decision', answer.get('type'))} {' '.join(reasons)}"
    print(f"{bomb.name:46} {status} {outcome:26} {seconds:6.2f} s {grown:6.0f} MB", flush=True)
    is_fine = 400 <= status < 500 or (
        status == 200 and (answer["decision"] != "ALLOW" or not reasons)
    )
    is_up = good == 200 and after["method"] == "model"
    fault = "" if is_fine and is_up else f"{bomb.name}: {status} {outcome}; a good post got {good}"
    return {"name": bomb.name, "seconds": seconds, "grown_mb": grown, "fault": fault}


async def _judged(app: Running, name: str, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return await _answered(app, _request(name, fields))


def _request(name: str, fields: dict[str, Any]) -> bytes:
    return json.dumps({"post_id": name, "author_id": name, **fields}).encode()


async def _answered(app: Running, body: bytes) -> tuple[int, dict[str, Any]]:
    """The answer to a body that comes piece by piece, as from a connection."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), _PIECE_BYTES):
            yield body[start : start + _PIECE_BYTES]

    answer = await app.client.post(
        "/moderation/posts", content=pieces(), headers={"X-Deadline-Ms": "30000"}
    )
    return answer.status_code, answer.json()


async def _decoder_is_ready() -> None:
    """Returns when the service has a decoder that waits, as it does between posts."""
    ends = time.monotonic() + 10.0
    while not shared_pool().is_ready and time.monotonic() < ends:
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    main()
