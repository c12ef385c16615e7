"""Profiles as the Redis store keeps them: end to end in MessagePack, decoded when looked at."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack

from lib.feature.profile_exchange import CLOCK, Profile

_CLOCK = struct.Struct(">q").unpack_from
_NEVER = -(2**62)


class PackedProfiles(Sequence[Profile]):
    """The profiles of a reply.

    Args:
        state: the bytes that a receipt keeps.
        start: where the array of profiles begins in them: a tag, two bytes of count, profiles.

    Attributes:
        state, start: as given.
    """

    def __init__(self, state: bytes, start: int) -> None:
        self.state, self.start = state, start
        self._profiles: tuple[Profile, ...] | None = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._decoded())

    def __getitem__(self, index: Any) -> Any:
        """A profile, or several as a tuple."""
        return self._decoded()[index]

    def __iter__(self) -> Iterator[Profile]:
        """The profiles in order."""
        return iter(self._decoded())

    def __eq__(self, other: object) -> bool:
        """Whether they are the same, however kept."""
        return self._decoded() == (other._decoded() if isinstance(other, type(self)) else other)

    __hash__ = None  # type: ignore[assignment]

    def _decoded(self) -> tuple[Profile, ...]:
        if self._profiles is None:
            profiles = msgpack.unpackb(memoryview(self.state)[self.start :], raw=True)
            for profile in profiles:
                if profile:
                    clock = _CLOCK(profile[CLOCK])[0]
                    profile[CLOCK] = [] if clock == _NEVER else [clock]
            self._profiles = tuple(profiles)
        return self._profiles
