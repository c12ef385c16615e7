"""Which arm an entity is in: computed from a secret key, never stored, the same everywhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lib.experiment.errors import ExperimentError

Arm: TypeAlias = Literal["champion", "challenger"]
ARMS: tuple[Arm, Arm] = ("champion", "challenger")
KEY_BYTES = 32
_BYTES = 8
_POSITIONS = 1 << (8 * _BYTES)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Puts entities into arms by a keyed hash (BLAKE2b, RFC 7693) of name and entity.

    The hash is a position in [0, 1) that nobody without the key can compute or steer; those below
    the share are in the challenger's arm. So an entity is always in the same arm, on every replica
    and in every job, and a larger share moves entities to the challenger and none back.

    Args:
        key: 16 to 64 secret bytes.
        name: of the experiment; another one draws other arms.
        share: of entities in the challenger's arm, 0 to 1.

    Raises:
        ExperimentError: the key is too short or too long, or the share no share.
    """

    key: bytes = field(repr=False)
    name: str
    share: float

    def __post_init__(self) -> None:
        if not 16 <= len(self.key) <= 64:
            raise ExperimentError(f"key: expected 16 to 64 bytes, got {len(self.key)}")
        if not 0.0 <= self.share <= 1.0:
            raise ExperimentError(f"share: expected 0 to 1, got {self.share}")

    def position(self, entity_id: str) -> float:
        """Where an entity lies in [0, 1): its arm is the challenger's below the share."""
        return self._number(entity_id) / _POSITIONS

    def arm(self, entity_id: str) -> Arm:
        """The arm of an entity."""
        # a share times a power of two is exact, and so is the comparison of whole numbers
        return "challenger" if self._number(entity_id) < self.share * _POSITIONS else "champion"

    def _number(self, entity_id: str) -> int:
        text = f"{self.name}\0{entity_id}".encode()
        digest = hashlib.blake2b(text, key=self.key, digest_size=_BYTES).digest()
        return int.from_bytes(digest, "big")
