"""What a profile store does for one event, as data, and what it means.

A *profile* is what is kept of one key (a user, a merchant, a user and a device together): fields
of whole numbers, each either a *record*, the numbers of one event, or a *run* of tiles. A run is
flat, newest tile first: tile, lanes, next older tile, its lanes, and so on. Field 0 is the *clock*,
the record of the newest event's time alone. An `ProfileRequest` reads some profiles as they were
and then updates them, all or nothing. `apply` is the meaning of the updates; a store that runs them
elsewhere (the Redis store does in Lua) must come to the same profiles.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

Profile: TypeAlias = list[list[int]]
"""Numbers by field; no field at all for a profile that does not exist."""

CLOCK = 0
FOR_EVER = 0
NO_FIELD = -1
_MARK_BYTES = 8


class RunTrim(NamedTuple):
    """Drops tiles of a run that no window can reach any more, once the run is updated.

    Args:
        field: the run.
        width: numbers per tile, the tile itself included.
        first: tiles before it are dropped.
        settled: in a run of which only the newest tiles back to a good one count, tiles before
            this one change no more: all that lie before the newest good one of them are dropped,
            too. A tile is good where the number at `events` is greater than that at `bad`.
        events, bad: places within a tile; both 0 where every tile counts.
    """

    field: int
    width: int
    first: int
    settled: int = 0
    events: int = 0
    bad: int = 0


class KeyUpdate(NamedTuple):
    """One profile's share of an exchange: where it is kept, and what changes.

    Args:
        key: the profile's key.
        fields: how many fields it has, the clock included.
        lifetime: seconds that it is kept after a change; `FOR_EVER`: no end.
        lasting: a field that keeps the profile for ever once it is not empty; `NO_FIELD`: none.
        clock: whether the event's time moves the clock, if it is newer.
        adds: each adds to a tile of a run: field, numbers per tile, tile, lanes. Lanes start at 0.
        keeps: each replaces a record unless it holds a greater first number: field, how many
            numbers, numbers.
        trims: what may be dropped if the profile changes.
    """

    key: bytes
    fields: int
    lifetime: int
    lasting: int = NO_FIELD
    clock: bool = False
    adds: tuple[tuple[int, ...], ...] = ()
    keeps: tuple[tuple[int, ...], ...] = ()
    trims: tuple[RunTrim, ...] = ()


class RunUpdate(NamedTuple):
    """Counts a pair in the tile of its newest event, and no more in that of the one before.

    Args:
        pair: the part whose clock is the pair's newest event; the event moves it.
        group, run: the part and the run where the pairs of each tile are counted.
        hop: microseconds of a tile.
    """

    pair: int
    group: int
    run: int
    hop: int


class ProfileRequest(NamedTuple):
    """One event's reads and updates.

    Args:
        receipt: names feature set, kind and event: an exchange with a receipt seen before changes
            nothing.
        receipt_seconds: how long the receipt is kept.
        time: of the event, microseconds UTC.
        parts: the profiles that are read, and what changes in each.
        touches: changes of two profiles at a time.
        legacy: the receipt's name in stores before names told sets and kinds apart; it counts where
            it was kept for as many profiles. None: not looked for.
        content: what tells the event from another one of the same id and keys; empty: nothing does.
    """

    receipt: str
    receipt_seconds: int
    time: int
    parts: tuple[KeyUpdate, ...]
    touches: tuple[RunUpdate, ...] = ()
    legacy: str | None = None
    content: bytes = b""

    @property
    def mark(self) -> bytes:
        """Eight bytes that differ where the profiles or the content are others."""
        return self._mark(self.content)

    def admits(self, mark: bytes) -> bool:
        """Whether a receipt with such a mark is this exchange's.

        One that was kept without regard to content is, whatever the content now.
        """
        return mark == self.mark or (bool(self.content) and mark == self._mark(b""))

    def _mark(self, content: bytes) -> bytes:
        keys = b"\x00".join([part.key for part in self.parts])
        return blake2b(keys, digest_size=_MARK_BYTES, key=content).digest()


class ProfileReply(NamedTuple):
    """The profiles as they were before the exchange's first time.

    Args:
        first: whether this was the first time; otherwise nothing was changed.
        profiles: by place of the part; empty where there was none.
        answer: what `settle` left with the receipt, if it did.
        same: whether the receipt was kept for the same profiles and content; otherwise `profiles`
            is empty.
    """

    first: bool
    profiles: Sequence[Profile]
    answer: bytes | None = None
    same: bool = True


def changed(exchange: ProfileRequest) -> list[bool]:
    """By place of the part, whether the exchange writes to it."""
    writes = [bool(part.clock or part.adds or part.keeps) for part in exchange.parts]
    for touch in exchange.touches:
        writes[touch.group] = True
    return writes


def lifetime(part: KeyUpdate, profile: Profile) -> int:
    """Seconds that a changed profile is kept; `FOR_EVER`: no end."""
    lasts = part.lasting != NO_FIELD and profile[part.lasting]
    return FOR_EVER if lasts else part.lifetime


def apply(exchange: ProfileRequest, profiles: Sequence[Profile]) -> None:
    """Updates `profiles`, by place of the part, in place."""
    clocks = [profile[CLOCK] if profile else [] for profile in profiles]
    for part, profile, changes in zip(exchange.parts, profiles, changed(exchange), strict=True):
        if changes and not profile:
            profile.extend([] for _ in range(part.fields))
        if part.clock:
            _keep(profile, CLOCK, [exchange.time])
        for field, _, tile, *lanes in part.adds:
            _add(profile[field], tile, lanes)
        for field, _, *numbers in part.keeps:
            _keep(profile, field, numbers)
    for touch in exchange.touches:
        _touch(profiles[touch.group][touch.run], clocks[touch.pair], exchange.time, touch.hop)
    for part, profile, changes in zip(exchange.parts, profiles, changed(exchange), strict=True):
        for trim in part.trims if changes else ():
            _trim(profile[trim.field], trim)


def _add(run: list[int], tile: int, lanes: list[int]) -> None:
    """Adds to a tile of a run."""
    width = 1 + len(lanes)
    offset = 0
    while offset < len(run) and run[offset] > tile:
        offset += width
    if offset < len(run) and run[offset] == tile:
        for lane, number in enumerate(lanes, start=offset + 1):
            run[lane] += number
    else:
        run[offset:offset] = [tile, *lanes]


def _keep(profile: Profile, field: int, numbers: list[int]) -> None:
    """Replaces a record unless it is newer."""
    if not profile[field] or profile[field][0] <= numbers[0]:
        profile[field] = numbers


def _touch(run: list[int], before: list[int], time: int, hop: int) -> None:
    last = before[0] // hop if before else None
    if last is not None and last >= time // hop:
        return
    if last is not None:
        _add(run, last, [-1])
    _add(run, time // hop, [1])


def _trim(run: list[int], trim: RunTrim) -> None:
    end = 0
    while end < len(run) and run[end] >= trim.first:
        good = run[end + trim.events] > run[end + trim.bad]
        settled = run[end] < trim.settled
        end += trim.width
        if good and settled:
            break
    del run[end:]
