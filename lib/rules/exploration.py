"""The exploration sample: a declared small share of the hardest decisions that is waived."""

import hashlib
import hmac
from dataclasses import dataclass, field

LARGEST_SHARE = 0.05
"""More than one in twenty is no longer a sample but an open door."""


@dataclass(frozen=True, slots=True)
class ExplorationSample:
    """Who passes: the same entities every time, and nobody can tell who without the key.

    Attributes:
        share: expected share of entities that pass, 0..0.05.
        key: secret of any length, not empty if share > 0; never part of a rule file.

    >>> ExplorationSample().passes("user-1")
    False
    """

    share: float = 0.0
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= LARGEST_SHARE:
            raise ValueError(f"share: 0..{LARGEST_SHARE} is expected, got {self.share}")
        if self.share and not self.key:
            raise ValueError(
                "key: a share above 0 needs a secret key, else anyone can tell who passes"
            )

    def passes(self, entity_id: str | None) -> bool:
        """Say whether an entity is in the sample; None never is."""
        if not self.share or entity_id is None:
            return False
        digest = hmac.digest(self.key, b"exploration\x00" + entity_id.encode(), hashlib.sha256)
        return int.from_bytes(digest[:8], "big") < self.share * 2**64
