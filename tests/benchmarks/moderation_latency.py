"""How fast posts are judged on Ray Serve: texts alone, with an image, with an image and a video.

`python -m tests.benchmarks.moderation_latency`. One replica of each deployment (composed), then all
in one (colocated); generator and server share this machine. Constant arrivals (open loop, latency
from the time a post was due) and connections that send as soon as they may (closed). A video is
waited for. Media come with the post; time to decode them is told apart. Weights are not trained:
the figures say how fast an answer comes, nothing of what it is worth. The last line is one JSON
object; a mix's own `p50_ms` to `p99_ms` are those of the slowest open rate, composed, and its
`posts_per_s` is the best of closed loops.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
import tyro

from lib.moderation.model.fitting import device_of
from lib.moderation.synthetic.simulated import simulated_pieces
from tests.benchmarks.latency.load import Answer, Load, Tally, quantile
from tests.benchmarks.moderating.served_model import published, size_of
from tests.benchmarks.result import print_result
from tests.moderation.media_factories import encoded, scene, video
from tests.serve.moderation_app import arguments
from tests.serve.ray_server import RayServer

Mix = Literal["text", "text_image", "text_image_video"]
Kind = Literal["composed", "colocated"]
MIXES: tuple[Mix, ...] = ("text", "text_image", "text_image_video")
KINDS: tuple[Kind, ...] = ("composed", "colocated")
RATES: dict[str, dict[str, tuple[float, ...]]] = {
    "small": {"text": (20.0, 50.0), "text_image": (10.0, 20.0), "text_image_video": (2.0, 5.0)},
    "large": {"text": (2.0, 5.0), "text_image": (1.0, 2.0), "text_image_video": (0.2, 0.4)},
}
"""Posts per second by size and mix, for two cores."""
GPU_RATES: dict[str, tuple[float, ...]] = {
    "text": (50.0, 150.0),
    "text_image": (50.0, 100.0),
    "text_image_video": (10.0, 20.0),
}
"""The same of any size where models run on a GPU."""
CONNECTIONS = (1, 8)
BODIES = 16
IMAGE_SIDE, CLIP_SIDE, CLIP_FRAMES, FRAMES_PER_S = 512, 224, 50, 25
_DEADLINE_MS = 30_000.0


@dataclass(frozen=True)
class Config:
    """Measure how fast posts are judged."""

    size: Literal["small", "large"] = "small"
    """small: MiniLM, a small ResNet, ViT and 3D CNN; large: BERT-base, ResNet-50, ViT-B/16, r3d_18
    of fresh weights."""
    registry: str = ""
    """Registry with a moderation champion to serve instead, directory or URI."""
    seconds: float = 10.0
    """Length of each measurement, seconds."""
    mixes: tuple[Mix, ...] = MIXES
    """Which posts."""
    targets: tuple[Kind, ...] = KINDS
    """Which ways to serve them."""
    device: str = "auto"
    """Of the models: cpu, cuda, or what there is."""


@dataclass
class Ear:
    """What answers say of themselves."""

    stages_ms: dict[str, list[float]] = field(default_factory=dict)
    decided: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: bytes, answer: Answer | None) -> None:
        """Takes an answer down."""
        del request
        if answer is None or answer.status != 200:
            return
        decision = json.loads(answer.body)
        for name, ms in (*decision["stages_ms"].items(), ("inside", decision["latency_ms"])):
            self.stages_ms.setdefault(name, []).append(float(ms))
        self.decided[f"{decision['decision']} by {decision['method']}"] += 1

    def summary(self) -> dict[str, float]:
        """Milliseconds of stages; `inside` is all of the front node, without the way there."""
        return {
            f"{name}_p{q}_ms": round(quantile(sorted(all_of_it), q / 100), 3)
            for name, all_of_it in self.stages_ms.items()
            for q in (50, 99)
        }


class Sender:
    """Posts of one mix, without end; no two have one id or one author.

    Args:
        mix: what they hold.
        token: API key.
    """

    def __init__(self, mix: Mix, token: str) -> None:
        self._mix, self._number = mix, 0
        self._tails = [json.dumps(body)[1:] for body in bodies(mix)]
        self._head = (
            "POST /moderation/posts HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: "
        )

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._number += 1
        name = f"{self._mix}-{time.time_ns()}-{self._number}"
        tail = self._tails[self._number % len(self._tails)]
        body = f'{{"post_id":"{name}","author_id":"by-{name}",{tail}'.encode()
        return f"{self._head}{len(body)}\r\n\r\n".encode() + body


def bodies(mix: Mix) -> list[dict[str, Any]]:
    """Some posts as the API takes them, without ids."""
    texts = simulated_pieces(BODIES, 1, 1, seed=9).texts
    posts: list[dict[str, Any]] = [{"text": text} for text in texts]
    if mix != "text":
        for k, post in enumerate(posts):
            post["images"] = [_sent(encoded(scene(k, IMAGE_SIDE)))]
    if mix == "text_image_video":
        for k, post in enumerate(posts):
            post["video"] = _sent(_clip(k))
    return posts


def _clip(seed: int) -> bytes:
    """Two seconds of a picture that drifts."""
    picture = np.asarray(scene(seed, 2 * CLIP_SIDE))
    frames = [picture[k : k + CLIP_SIDE, k : k + CLIP_SIDE] for k in range(CLIP_FRAMES)]
    return video([np.ascontiguousarray(frame) for frame in frames], rate=FRAMES_PER_S)


def _sent(content: bytes) -> dict[str, str]:
    return {"content": base64.b64encode(content).decode()}


@contextmanager
def served(kind: Kind, registry: str, device: str) -> Iterator[tuple[RayServer, str]]:
    """The application on Ray Serve, ready; yields it and an API key."""
    with tempfile.TemporaryDirectory(prefix="fw-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        # a second replica on two shared cores would only wait for the first
        deployment = {"min": 1, "cpus": 0.25, "gpus": 0.25 if device == "cuda" else 0.0}
        front = deployment if kind == "colocated" else {"min": 1, "cpus": 0.25}
        args, token = arguments(
            folder,
            Path(registry),
            front=front,
            text=deployment,
            image=deployment,
            video=deployment,
            colocated=kind == "colocated",
            device=device,
            video_at_once=True,
            shutdown_s=2,
            deadline_ms=_DEADLINE_MS,
            model_timeout_ms=_DEADLINE_MS,
            in_flight=256,
            drain_seconds=1.0,
        )
        extra = {"FOREWARN_REQUESTS_PER_REPLICA": "0"}
        config = json.loads(args.model_dump_json()) | {"registry": registry}
        server = RayServer(folder, config, extra, system="moderation")
        try:
            server.deploy()
            report = httpx.get(f"{server.url}/moderation/readyz", timeout=60).json()
            if report["status"] != "ready":
                raise RuntimeError(f"not ready: {json.dumps(report)}")
            yield server, token
        finally:
            server.close()


def batch_sizes(server: RayServer, kind: Kind) -> dict[str, dict[int, int]]:
    """How many batches of each size each deployment has had so far; {} where there are none."""
    if kind == "colocated":
        return {}
    return {
        name: {int(size): count for size, count in server.ask(name, "sizes").items()}
        for name in ("Text", "Image", "Video")
    }


async def measure(
    load: Load, rates: tuple[float, ...], seconds: float
) -> tuple[dict[str, Any], Counter[str]]:
    """Warms up, then measures every rate and every number of connections."""
    await load.closed(2, min(3.0, seconds))
    results: dict[str, Any] = {"open_loop": {}, "closed_loop": {}}
    decided: Counter[str] = Counter()
    for rate in rates:
        ear = Ear()
        longer = max(seconds, 4.0 / rate)
        results["open_loop"][f"{rate:g}"] = _figures(await load.open(rate, longer, ear), ear)
        decided += ear.decided
    for connections in CONNECTIONS:
        ear = Ear()
        tally = await load.closed(connections, seconds, ear)
        results["closed_loop"][str(connections)] = _figures(tally, ear)
        decided += ear.decided
    return results, decided


def _figures(tally: Tally, ear: Ear) -> dict[str, float]:
    summary = tally.summary()
    return {**summary, **ear.summary()}


def headline_figures(figures: dict[str, Any]) -> dict[str, float]:
    """A mix's own figures out of those of one way to serve it."""
    calmest = next(iter(figures["open_loop"].values()))
    names = ("p50_ms", "p95_ms", "p99_ms", "decode_p50_ms")
    rates = [load["rps"] for load in figures["closed_loop"].values()]
    parts = [*figures["open_loop"].values(), *figures["closed_loop"].values()]
    return {
        **{name: calmest[name] for name in names},
        "posts_per_s": max(rates),
        "errors": sum(load["errors"] + load["refused"] for load in parts),
    }


def main(config: Config) -> None:
    """Prints a line per measurement and then everything as JSON."""
    began, load_at_start = time.perf_counter(), os.getloadavg()[0]
    device = device_of(config.device)
    results: dict[str, Any] = {mix: {"device": device} for mix in config.mixes}
    count = 0
    with tempfile.TemporaryDirectory() as temporary:
        registry = config.registry or str(published(size_of(config.size), Path(temporary)))
        print(f"model: {registry if config.registry else config.size}, on {device}", flush=True)
        for kind in config.targets:
            with served(kind, registry, device) as (server, token):
                for mix in config.mixes:
                    rates = GPU_RATES[mix] if device == "cuda" else RATES[config.size][mix]
                    before = batch_sizes(server, kind)
                    load = Load("127.0.0.1", server.port, Sender(mix, token))
                    figures, decided = asyncio.run(measure(load, rates, config.seconds))
                    figures["batches"] = _less(batch_sizes(server, kind), before)
                    figures["decided"] = dict(decided)
                    count += sum(decided.values())
                    results[mix][kind] = figures
                    print(f"{kind:10} {mix:17} {json.dumps(figures)}", flush=True)
    for mix in config.mixes:
        results[mix] |= headline_figures(results[mix][config.targets[0]])
    print_result(
        rows_read=count,
        seconds=time.perf_counter() - began,
        size=config.registry or config.size,
        load_average={"at_start": load_at_start, "at_end": os.getloadavg()[0]},
        **results,
    )


def _less(
    after: dict[str, dict[int, int]], before: dict[str, dict[int, int]]
) -> dict[str, dict[str, int]]:
    return {
        name: {
            str(size): more
            for size, count in sorted(sizes.items())
            if (more := count - before[name].get(size, 0))
        }
        for name, sizes in after.items()
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(tyro.cli(Config, description=__doc__))
