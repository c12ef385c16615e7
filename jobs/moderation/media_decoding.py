"""Media in, small arrays out: one task decodes a few megabytes at a time and writes what it made.

Files are named by the media in them, so a task that runs a second time overwrites its own, and one
whose file is there already does not decode again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from jobs import ingestion
from lib.contract import QUARANTINE_REASON
from lib.moderation.media.decoder_pool import shared_pool
from lib.moderation.media.hashes import LEAST_QUALITY, PdqHash, pdq_hash, sha256
from lib.moderation.media.limits import MediaError
from lib.moderation.media.media_fetcher import MediaFetcher
from lib.moderation.model.model_config import ModelConfig
from lib.moderation.model.outputs import Pixels
from lib.moderation.model.pixels import evenly_spaced, squares
from lib.moderation.post import Media
from lib.storage import Storage, read_parquet, write_parquet

DECODED = pa.schema(
    [
        ("post_id", pa.string()),
        ("kind", pa.string()),
        ("place", pa.int64()),
        ("reason", pa.string()),  # why it could not be decoded, else null
        ("partly", pa.string()),  # why a part of it was not looked at, else null
        ("digest", pa.binary()),  # SHA-256 of the bytes
        ("look", pa.binary()),  # PDQ, null where there is too little to see
        ("frames", pa.int32()),
        ("side", pa.int32()),
        ("pixels", pa.binary()),  # uint8 (frames, side, side, 3)
    ]
)
OUTCOMES = ("post_id", "kind", "place", "reason")


@dataclass(frozen=True)
class DecodeSpec:
    """What the models see of an image and of a video."""

    image_side: int
    clip_frames: int
    clip_side: int

    @classmethod
    def of(cls, size: ModelConfig) -> DecodeSpec:
        """What models of this size see."""
        return cls(size.image.side, size.video.frames, size.video.side)

    @property
    def stored(self) -> dict[str, int]:
        """As the note of the rows tells it."""
        return asdict(self)

    def decoded(self, content: bytes, kind: str) -> tuple[Pixels, Pixels, MediaError | None]:
        """Frames (frames, side, side, 3) as the models see them, and one in full for its hash.

        An animated image gives several frames; the worst of them will decide. The last is why a
        part of it was not looked at, or None.

        Raises:
            MediaError: it cannot be decoded.
        """
        if kind == "image":
            image = shared_pool().image(content)
            return squares(image.frames, self.image_side), image.frames[0], image.fault
        clip = shared_pool().video(content, samples=self.clip_frames).frames
        frames = evenly_spaced(clip, self.clip_frames, self.clip_side)
        return frames, clip[len(clip) // 2], None


def decode_rows(
    media: pa.Table, shape: DecodeSpec, addresses: MediaFetcher, storage: Storage, quarantine: str
) -> pa.Table:
    """Decode media rows into a file of `DECODED`; broken ones stay in it, with their reason.

    Args:
        media: rows that passed the contract of media.
        shape: what to make of them.
        addresses: places from which URIs may be fetched.
        storage: folder for `media/`, and for `used/`, which names the files that count.
        quarantine: folder or URI for `media/` in it.

    Returns:
        `OUTCOMES` and `file`, without pixels.
    """
    name = _name_of(media)
    path = f"media/{name}.parquet"
    storage.write(f"used/{name}.parquet", b"")
    if storage.exists(path):
        kept = read_parquet(storage.address(path), list(OUTCOMES))
    else:
        rows = [_decoded(row, shape, addresses) for row in media.to_pylist()]
        table = pa.Table.from_pylist(rows, schema=DECODED)
        write_parquet(table, storage, path)
        kept = table.select(list(OUTCOMES))
    _quarantine(media, kept["reason"], name, quarantine)
    return kept.append_column("file", pa.array([path] * kept.num_rows, pa.string()))


@dataclass(frozen=True)
class Decoded:
    """One medium.

    Attributes:
        frames: (frames, side, side, 3) as the models see them.
        look: its PDQ hash, or None where there is too little to see.
        digest: SHA-256 of its bytes, hexadecimal.
        fault: why a part of it was not looked at, or None.
    """

    frames: Pixels
    look: PdqHash | None
    digest: str
    fault: MediaError | None


def decode_one(row: dict[str, Any], shape: DecodeSpec, addresses: MediaFetcher) -> Decoded:
    """One media row, fetched and decoded.

    Raises:
        MediaError: it cannot be fetched or decoded.
    """
    content = row["content"]
    if content is None and row["uri"] is None:
        raise MediaError("empty", "expected bytes or a URI, got neither")
    media = Media(content, "bytes") if content else Media(None, row["uri"] or "bytes")
    fetched = addresses.content(media, row["kind"])
    frames, full_image, fault = shape.decoded(fetched, row["kind"])
    look = pdq_hash(full_image)
    return Decoded(frames, look if look.quality >= LEAST_QUALITY else None, sha256(fetched), fault)


def _decoded(row: dict[str, Any], shape: DecodeSpec, addresses: MediaFetcher) -> dict[str, Any]:
    record: dict[str, Any] = {name: row[name] for name in ("post_id", "kind", "place")}
    try:
        medium = decode_one(row, shape, addresses)
    except (MediaError, ValueError) as error:
        return record | {
            "reason": str(error) if isinstance(error, MediaError) else f"empty: {error}"
        }
    return record | {
        "partly": None if medium.fault is None else str(medium.fault),
        "digest": bytes.fromhex(medium.digest),
        "look": None if medium.look is None else medium.look.bits.tobytes(),
        "frames": medium.frames.shape[0],
        "side": medium.frames.shape[1],
        "pixels": np.ascontiguousarray(medium.frames).tobytes(),
    }


def _quarantine(media: pa.Table, reasons: pa.ChunkedArray, name: str, quarantine: str) -> None:
    """Broken media with the slug of their reason; all words are in the decoded file."""
    texts = reasons.to_pylist()
    bad = pa.array([text is not None for text in texts])
    slugs = [f"content: {text.partition(':')[0]}" if text is not None else None for text in texts]
    column = pa.array(slugs, pa.string())
    rows = media.append_column(QUARANTINE_REASON, column).filter(bad)
    ingestion.quarantine_rows(rows, f"broken-{name}", f"{quarantine}/media")


def _name_of(media: pa.Table) -> str:
    sizes = [len(content or b"") for content in media["content"].to_pylist()]
    keys = [media[name].to_pylist() for name in ("post_id", "kind", "place", "uri")]
    text = json.dumps([*keys, sizes])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
