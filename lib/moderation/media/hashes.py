"""Media known from before: by SHA-256 as they are, by PDQ as they look.

PDQ (Meta 2019, "The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm") is the
256-bit hash in which platforms exchange their lists. It survives re-encoding and scaling; a mirror
image is looked for, too. Images are reduced to 256 pixels first, which costs a list's hash of the
whole image a distance of up to about 28.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.declaration import did_you_mean
from lib.moderation.media.images import Pixels

CERTAIN = 31
"""Bits of 256 up to which two images are one: PDQ's own recommendation."""

LIKELY = 60
"""Bits up to which one may be a crop of the other; a person should look."""

LEAST_QUALITY = 50
"""Of 0..100; hashes of plainer images say nothing. PDQ's own recommendation."""

_BITS = 256
_SIDE = 256


class HashListError(ValueError):
    """A list of hashes that cannot be meant; the message names the line and the field."""


class Known(BaseModel):
    """One entry of a list.

    Attributes:
        hash: 64 hexadecimal digits.
        kind: sha256 of the bytes, or pdq of what they show.
        policy: which policy the media breaks.
        note: where it is known from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    kind: Literal["sha256", "pdq"]
    policy: str = Field(min_length=1, max_length=64)
    note: str = Field("", max_length=500)


@dataclass(frozen=True, slots=True)
class PdqHash:
    """What an image looks like.

    Attributes:
        bits: uint64 (4,).
        quality: 0..100, how much there is to see.
    """

    bits: NDArray[np.uint64]
    quality: int

    @property
    def hex(self) -> str:
        """The hash as 64 hexadecimal digits."""
        return self.bits.tobytes().hex()


@dataclass(frozen=True, slots=True)
class Near:
    """An entry of a list that an image looks like.

    Attributes:
        known: the entry.
        distance: bits of 256 that differ.
    """

    known: Known
    distance: int


def sha256(content: bytes) -> str:
    """SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def pdq_hash(pixels: Pixels) -> PdqHash:
    """The PDQ hash of an image, uint8 (H, W, 3) RGB."""
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    bits, quality = pdqhash.compute(np.asarray(image))
    return PdqHash(np.packbits(np.asarray(bits, dtype=bool)).view(np.uint64), int(quality))


class HashList:
    """Known hashes, looked up all at once.

    Args:
        entries: any number; the first of equal hashes counts.
    """

    def __init__(self, entries: Iterable[Known]) -> None:
        self.entries = tuple(entries)
        self._exact: dict[str, Known] = {}
        looks: list[Known] = []
        for entry in self.entries:
            if entry.kind == "sha256":
                self._exact.setdefault(entry.hash.lower(), entry)
            else:
                looks.append(entry)
        self._looks = tuple(looks)
        joined = bytes.fromhex("".join(look.hash for look in looks))
        self._bits = np.frombuffer(joined, dtype=np.uint64).reshape(-1, _BITS // 64)

    def exact(self, content: bytes) -> Known | None:
        """The entry of these very bytes."""
        return self._exact.get(sha256(content))

    def nearest(self, images: Sequence[Pixels], within: int = LIKELY) -> Near | None:
        """The nearest entry of any of the images (the frames of a video), or of their mirrors.

        Args:
            images: each uint8 (H, W, 3) RGB.
            within: bits of 256 that may differ.
        """
        if not self._looks:
            return None
        candidates = [near for image in images for near in self._looked_up(image)]
        best = min(candidates, key=lambda near: near.distance, default=None)
        return best if best is not None and best.distance <= within else None

    def _looked_up(self, pixels: Pixels) -> Iterator[Near]:
        for view in (pixels, np.ascontiguousarray(pixels[:, ::-1])):
            looks = pdq_hash(view)
            if looks.quality >= LEAST_QUALITY:
                apart = np.bitwise_count(self._bits ^ looks.bits).sum(axis=1)
                index = int(apart.argmin())
                yield Near(self._looks[index], int(apart[index]))


def load_hashes(text: str, source: str = "hashes.jsonl") -> HashList:
    """Read a list: one JSON object a line with `hash`, `kind`, `policy` and maybe `note`.

    Args:
        text: the lines; empty ones and those that start with # are left out.
        source: name of the file for messages.

    Raises:
        HashListError: naming the line, the field, what was expected and what came.
    """
    return HashList(_entries(text, source))


def _entries(text: str, source: str) -> Iterator[Known]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            yield Known.model_validate(json.loads(line))
        except json.JSONDecodeError as error:
            raise HashListError(f"{source}:{number}: expected a JSON object: {error}") from error
        except (ValidationError, RecursionError) as error:
            raise HashListError(f"{source}:{number}: {_fault(error)}") from error


def _fault(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    first = min(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
    field = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field; {did_you_mean(field, Known.model_fields)}"
    message = str(first["msg"])
    suffix = "" if first["type"] == "missing" else f", got {first['input']!r}"
    return f"{field}: {message.lower()}{suffix}"[:200] if field else message[:200]
