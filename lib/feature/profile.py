"""What a profile store does for one event, as data, and what it means.

A *profile* is what is kept of one key (a user, a merchant, a user and a device together): a small
map from field to whole numbers. An `Exchange` reads some profiles as they were and then updates
them, all or nothing. `apply` is the meaning of the updates; a store that runs them elsewhere (the
Redis store does in Lua) must come to the same profiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Profile: TypeAlias = dict[bytes, list[int]]

_TILE_BYTES = 8


def tile_field(slot: int, tile: int) -> bytes:
    """The field of a slot's tile: one byte of slot, eight of tile, big-endian."""
    return bytes((slot,)) + tile.to_bytes(_TILE_BYTES, "big", signed=True)


def split_tile_field(name: bytes) -> tuple[int, int]:
    """Slot and tile of a field."""
    return name[0], int.from_bytes(name[1:], "big", signed=True)


class Add(NamedTuple):
    """Adds `lanes` to a field's numbers, which start at 0."""

    profile: int
    field: bytes
    lanes: tuple[int, ...]


class Keep(NamedTuple):
    """Replaces a field by `numbers` unless it holds a greater first number (a later time)."""

    profile: int
    field: bytes
    numbers: tuple[int, ...]


class Touch(NamedTuple):
    """Notes that a pair appeared in `tile`, so that each pair counts in its latest tile only.

    `pair` and `mark` say where the pair's latest tile is kept, `profile` and `slot` where the
    pairs of each tile are counted.
    """

    pair: int
    mark: bytes
    profile: int
    slot: int
    tile: int


@dataclass(frozen=True)
class Exchange:
    """One event's reads and updates.

    Args:
        receipt: the event's own id: an exchange with a receipt seen before changes nothing.
        keys: the profiles' keys; updates refer to them by place.
        lifetimes: seconds that each profile is kept from now on; 0 keeps it for ever.
        expired: per profile, the slots and the first tile of each that still matters; earlier
            tiles may be dropped.
        adds, keeps, touches: the updates.
        receipt_seconds: how long the receipt is kept.
    """

    receipt: str
    keys: tuple[bytes, ...]
    lifetimes: tuple[int, ...]
    expired: tuple[tuple[tuple[int, int], ...], ...]
    adds: tuple[Add, ...]
    keeps: tuple[Keep, ...] = ()
    touches: tuple[Touch, ...] = ()
    receipt_seconds: int = 3600


@dataclass(frozen=True)
class Reply:
    """The profiles as they were before the exchange's first time.

    Args:
        first: whether this was the first time; otherwise nothing was changed.
        profiles: by place of the key; empty where there was none.
        answer: what `settle` left with the receipt, if it did.
    """

    first: bool
    profiles: tuple[Profile, ...]
    answer: bytes | None = None


def apply(exchange: Exchange, profiles: Sequence[Profile]) -> None:
    """Updates `profiles` (by place of the key) in place; drops expired tiles that were there."""
    gone = [_expired(p, dict(s)) for p, s in zip(profiles, exchange.expired, strict=True)]
    for add in exchange.adds:
        _add(profiles[add.profile], add.field, add.lanes)
    for keep in exchange.keeps:
        old = profiles[keep.profile].get(keep.field)
        if old is None or old[0] <= keep.numbers[0]:
            profiles[keep.profile][keep.field] = list(keep.numbers)
    for touch in exchange.touches:
        _touch(profiles, touch)
    for profile, names in zip(profiles, gone, strict=True):
        for name in names:
            del profile[name]


def _add(profile: Profile, name: bytes, lanes: Sequence[int]) -> None:
    old = profile.get(name)
    profile[name] = list(lanes) if old is None else [a + b for a, b in zip(old, lanes, strict=True)]


def _touch(profiles: Sequence[Profile], touch: Touch) -> None:
    pair = profiles[touch.pair]
    last = pair.get(touch.mark)
    if last is not None and last[0] >= touch.tile:
        return
    if last is not None:
        _add(profiles[touch.profile], tile_field(touch.slot, last[0]), (-1,))
    _add(profiles[touch.profile], tile_field(touch.slot, touch.tile), (1,))
    pair[touch.mark] = [touch.tile]


def _expired(profile: Profile, first_tiles: dict[int, int]) -> list[bytes]:
    return [
        name
        for name in profile
        if len(name) == _TILE_BYTES + 1
        and name[0] in first_tiles
        and split_tile_field(name)[1] < first_tiles[name[0]]
    ]
