"""Hostile posts at the moderation application: what each is answered, and what memory it takes.

The application runs in this process with a tiny model of simulated posts. After every hostile post
a good one must still be judged by the model, and no post may ask for more memory than a good one
of the largest size allowed. Exits with 1 where one of these does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.result import peak_mb, print_result
from tests.moderation import small_model
from tests.moderation.media_factories import encoded, no_frames, scene
from tests.moderation.media_server import serving
from tests.serve.moderation_app import Running, moderation, published, sent

_BOMB_SIDE = 30_000
_MOST_MB = 700.0


@dataclass(frozen=True)
class Hostile:
    """A post, and what must come back.

    Attributes:
        name: in words.
        fields: of the post, beside its id and author.
        status: expected.
        expected: a decision or the reason why media could not be used, or a word of the error.
    """

    name: str
    fields: dict[str, Any]
    status: int
    expected: str


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(_run(Path(folder)))
    print_result(result["posts"], result.pop("seconds"), **result)
    sys.exit(1 if result["unexpected"] or result["grown_mb"] > _MOST_MB else 0)


async def _run(folder: Path) -> dict[str, Any]:
    registry = published(folder)
    with serving() as server:
        media_url = f"http://127.0.0.1:{server.server_address[1]}/media/"
        async with moderation(folder / "a", registry, addresses=(media_url,)) as app:
            # the largest image allowed and a video: what good posts need anyway
            await _judge(app, "first", {"text": small_model.parts()[2].texts[0]})
            large = encoded(scene(1, 256).resize((6_000, 4_000)), quality=60)
            await _judge(app, "large", {"images": [sent(large)]})
            before, started = peak_mb(), time.perf_counter()
            unexpected = []
            posts = list(hostile(media_url))
            for number, attack in enumerate(posts):
                if fault := await _attack(app, number, attack):
                    unexpected.append(f"{attack.name}: {fault}")
            unexpected += await _policies(app)
            secret = [path for path in server.requested_paths if "secret" in path]
            return {
                "posts": len(posts),
                "unexpected": unexpected,
                "asked_outside_the_list": secret,
                "peak_before_mb": round(before),
                "grown_mb": round(peak_mb() - before),
                "seconds": time.perf_counter() - started,
            }


def hostile(media_url: str) -> Iterator[Hostile]:
    """All of them; `media_url` is the only one that media may be fetched from."""
    picture = encoded(scene(4))
    bomb = _bomb()
    text = {"text": "fine"}
    yield Hostile("empty post", {}, 422, "the post is empty")
    yield Hostile("nothing that can be seen", {"text": " \n\u200b"}, 422, "the post is empty")
    yield Hostile("100,000 characters", {"text": "word " * 20_000}, 200, "")
    yield Hostile("100,000 emoji", {"text": "😀" * 100_000}, 200, "")
    yield Hostile("100,001 characters", {"text": "x" * 100_001}, 422, "at most 100000")
    for name, disguised in (
        ("zero-width characters in a blocked word", "a b\u200blo\u200dckedword."),
        ("a right-to-left override around it", "a \u202eblockedword\u202c."),
        ("the word reversed under an override", "a \u202edrowdekcolb\u202c."),
        ("look-alike letters in it", "a bl\u043eckedword."),
        ("combining marks on it", "a blocked\u0301word."),
        ("full-width letters", "a ｂｌｏｃｋｅｄｗｏｒｄ."),
        ("letters set apart", "a b l o c k e d w o r d."),
    ):
        yield Hostile(name, {"text": disguised}, 200, "slur")
    yield Hostile(
        f"PNG bomb, {_BOMB_SIDE:,} x {_BOMB_SIDE:,} in {len(bomb) / 1e6:.1f} MB",
        text | {"images": [sent(bomb)]},
        200,
        "too_many_pixels",
    )
    cut = sent(picture[: len(picture) // 2])
    yield Hostile("truncated JPEG", text | {"images": [cut]}, 200, "truncated")
    yield Hostile("mp4 with no frames", text | {"video": sent(no_frames())}, 200, "no_frames")
    named = sent(b"just some text, really\n" * 50)
    yield Hostile("text named .mp4", text | {"video": named}, 200, "not_a_video")
    for name, uri in (
        ("URI outside the list", "https://elsewhere.example/x.png"),
        ("file of the machine", "file:///etc/passwd"),
        ("path out of the listed place", media_url + "%2e%2e/secret"),
    ):
        yield Hostile(name, text | {"images": [{"uri": uri}]}, 200, "address_not_allowed")
    led = [{"uri": media_url + "to_outside"}]
    yield Hostile("listed URI that redirects", text | {"images": led}, 200, "address_not_allowed")
    endless = [{"uri": media_url + "endless"}]
    yield Hostile("listed URI that never ends", text | {"images": endless}, 200, "too_large")
    yield Hostile("unknown language", text | {"language": "xx-Nope"}, 200, "")
    yield Hostile("language that is none", text | {"language": "??"}, 422, "language")


async def _attack(app: Running, number: int, attack: Hostile) -> str:
    """Send a hostile post and a good one; answers what was not as expected, or nothing."""
    started = time.perf_counter()
    status, answer = await _judge(app, f"post-{number}", attack.fields)
    took = 1000 * (time.perf_counter() - started)
    reasons = [media["reason"] for media in answer.get("undecoded", [])]
    hits = [hit["entry"] for hit in answer.get("hits", [])]
    message = answer.get("detail") or " ".join([answer["decision"], *reasons, *hits])
    print(f"{attack.name:44} {status}  {took:6.0f} ms  {message[:90]}", flush=True)
    good, after = await _judge(app, f"good-{number}", {"text": small_model.parts()[2].texts[0]})
    if (status, good) != (attack.status, 200) or attack.expected not in message:
        expected = f"expected {attack.status} {attack.expected}"
        return f"{status} {message}; {expected}; a good post got {good}"
    if (reasons or hits) and answer["decision"] == "ALLOW":
        return "allowed unseen"
    return "" if after["method"] == "model" else f"a good post was judged by {after['method']}"


async def _policies(app: Running) -> list[str]:
    """Policies that nobody knows: in a look at reasons, in a reviewer's words, in a file."""
    faults = []
    response = await app.client.get("/moderation/posts/first/explanation?policy=nope")
    claim = (await app.post("review/claim", {"reviewer": "rob"}))["claims"][0]
    body = {"reviewer": "rob", "token": claim["token"], "verdicts": {"nope": True}}
    path = f"/moderation/review/items/{claim['item_id']}/decide"
    decided = await app.client.post(path, content=json.dumps(body))
    for name, answer in (("explanation", response), ("verdict", decided)):
        detail = answer.json()["detail"]
        print(f"unknown policy in {name:26} {answer.status_code}             {detail[:90]}")
        if answer.status_code != 422 or "nope" not in detail:
            faults.append(f"unknown policy in {name}: {answer.status_code} {detail}")
    unknown = app.service.args.policies.replace("id: hate", "id: nope")
    await app.service.reconfigure({"policies": unknown})
    ready = (await app.client.get("/moderation/status")).json()
    detail = str(ready["parts"])
    error = next((p["error"] for p in ready["parts"].values() if p.get("error")), "")
    print(f"unknown policy in {'the policies':26} kept out        {error[:90]}")
    return faults if "nope" in detail else [*faults, "a policy that no model knows was taken"]


async def _judge(app: Running, name: str, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"post_id": name, "author_id": name, **fields})
    answer = await app.client.post("/moderation/posts", content=body)
    return answer.status_code, answer.json()


def _bomb() -> bytes:
    """A whole PNG of so many black pixels: gigabytes once unpacked."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * _BOMB_SIDE)
    body = b"".join(packer.compress(row) for _ in range(_BOMB_SIDE)) + packer.flush()
    header = struct.pack(">IIBBBBB", _BOMB_SIDE, _BOMB_SIDE, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b"")):
        png += struct.pack(">I", len(data)) + name + data
        png += struct.pack(">I", zlib.crc32(name + data))
    return png


if __name__ == "__main__":
    main()
