"""Posts of one author: with marked words, images and a video, removed, appealed, and harmless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib.moderation.media.media_store import MediaStore
from lib.moderation.policies import POLICIES_FILE, load_policies
from lib.records import Decision, Records
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions
from tests.records.review_factories import HOUR

AT = NOVEMBER - 50 * HOUR
POST, AUTHOR, OTHERS = 8000, 8100, range(8001, 8006)
TEXT = "these vermin must go & <b>now</b>"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
    "08d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)
"""One pixel."""
REMOVED: dict[str, Any] = {
    "decision": "REMOVE",
    "answer": {
        "decision": "REMOVE",
        "policies": {"hate": {"probability": 0.93, "action": "REMOVE"}},
    },
}
"""What differs where a post is removed."""
HIT = {
    "kind": "word",
    "entry": "vermin",
    "policy": "hate",
    "start": 6,
    "end": 12,
    "text": "vermin",
    "distance": None,
}
NEAR = {
    "kind": "hash",
    "entry": "images.0",
    "policy": "violence",
    "start": None,
    "end": None,
    "text": None,
    "distance": 12,
}
ATTRIBUTES = {"group": "garden & home", "account_age": 3.5, "is_verified": True}
FEATURES = {"posts_by_author_7d": 12.0, "removals_by_author_90d": 2.0, "is_new_author": 0.0}


def post(
    subject_id: str, at: int, author: str, text: str | None = "a walk by the sea", **changes: object
) -> Decision:
    """The decision about a post."""
    policies = {
        "hate": {"probability": 0.71, "action": "REVIEW"},
        "spam": {"probability": 0.02, "action": "ALLOW"},
    }
    request = {
        "post_id": subject_id,
        "author_id": author,
        "created_at_us": at,
        "text": text,
        "language": "en",
        "reports": 3,
        "reach": 1_200,
        "media": {},
        "undecoded": [],
    }
    answer = {
        "decision": "ALLOW",
        "reason": "no policy asks for more",
        "policies": policies,
        "hits": [],
        "undecoded": [],
        "policies_version": policies_version(),
    }
    fields = {
        "system": "moderation",
        "entities": {"author_id": author},
        "event_time": at,
        "received_at": at + SECOND,
        "decided_at": at + SECOND,
        "decision": "ALLOW",
        "score": 0.02,
        "request": request,
        "answer": answer,
        "features": FEATURES,
        "reasons": [],
    }
    merged = fields | changes
    for name in ("request", "answer"):
        merged[name] = {**fields[name], **changes.get(name, {})}  # type: ignore[dict-item]
    return decision(subject_id, **merged)


def policies_version() -> str:
    """Of the policies that are shipped."""
    return load_policies(POLICIES_FILE.read_text(encoding="utf-8")).label


def seed_posts(url: str, folder: Path, ids: Callable[[int], str]) -> None:
    """Add them to a database of records, and their media to a folder."""
    digest, author = MediaStore(str(folder)).keep(PNG), ids(AUTHOR)
    media = {"images.0": digest, "video": "ab" * 32}
    broken = {"place": "images.1", "reason": "too-large", "words": "expected 10 MB, got 20 MB"}
    main = post(
        ids(POST),
        AT,
        author,
        TEXT,
        decision="REVIEW",
        score=0.71,
        request={"media": media, "undecoded": ["images.1"], "attributes": ATTRIBUTES},
        features={**FEATURES, "group_code": 2.0, "account_age": 3.5, "is_verified": 1.0},
        answer={
            "decision": "REVIEW",
            "hits": [HIT, NEAR],
            "undecoded": [broken],
            "reason": "hate: violated with a probability of 71.0%",
        },
        reasons=[HIT, NEAR],
    )
    others = [
        post(
            ids(number),
            AT - (1 + index) * HOUR,
            author,
            **(REMOVED if index == 2 else {}),
        )
        for index, number in enumerate(OTHERS)
    ]
    with Records(url) as records:
        keep_decisions(records, [main, *others])
