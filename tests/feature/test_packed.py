"""Packed profiles, read by the kernel: the bits of the Python readers, and nothing made up."""

from __future__ import annotations

import random
import struct
from typing import Any

import msgpack
import numpy as np
import pytest

from lib.feature import HOUR, LastValue, OnlineFeatures, Quantity, Sum
from lib.feature.packed_profiles import PackedProfiles
from lib.feature.packed_program import PackedProgram
from lib.feature.profile_exchange import ProfileReply, apply
from lib.feature.row_evaluator import AggregateStep
from lib.fraud.contracts import join_labels
from lib.fraud.features import FRAUD
from lib.fraud.simulation import SimulationConfig, simulate

NEVER = -(2**62)
Before = tuple[dict[str, Any], list[list[list[int]]]]
"""An event, and the profiles as they were before it."""


def packed(profiles: list[list[list[int]]]) -> PackedProfiles:
    """Profiles as the Redis script writes them."""
    body = b"".join(map(packed_profile, profiles))
    return PackedProfiles(b"p" + struct.pack(">BH", 0xDC, len(profiles)) + body, 1)


def packed_profile(profile: list[list[int]]) -> bytes:
    if not profile:
        return b"\x90"
    clock, *fields = profile
    texts = [
        struct.pack(">BI", 0xDD, len(numbers)) + b"".join(map(msgpack.packb, numbers))
        for numbers in fields
    ]
    head = struct.pack(">q", clock[0] if clock else NEVER)
    head += b"".join(struct.pack(">I", len(text)) for text in texts)
    count = len(profile)
    array = bytes([0x90 + count]) if count < 16 else struct.pack(">BH", 0xDC, count)
    return array + struct.pack(">BB", 0xC4, len(head)) + head + b"".join(texts)


@pytest.fixture(scope="module")
def replies() -> list[Before]:
    """Payments, also without device or place, and the profiles as they were before each."""
    simulated = simulate(SimulationConfig(users=50, days=60), seed=3)
    rows = join_labels(simulated.transactions, simulated.labels).table.to_pylist()
    draw, online = random.Random(0), OnlineFeatures(FRAUD, trim_one_in=3)
    kept: dict[bytes, list[list[int]]] = {}
    before = []
    for row in rows[:4_000]:
        event = event_of(row)
        request = online.request(event)
        profiles = [kept.setdefault(part.key, []) for part in request.parts]
        before.append((event, [[[*field] for field in profile] for profile in profiles]))
        apply(request, profiles)
        if draw.random() < 0.2:
            fact = online.learn(event, draw.choice(FRAUD.facts), event["event_time"] + HOUR)
            apply(fact, [kept.setdefault(part.key, []) for part in fact.parts])
    return before


def event_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row as an event: microseconds, NaN where there is no place."""
    names = ("transaction_id", "user_id", "merchant_id", "device_id", "payment_method")
    places = {
        name: np.nan if row[name] is None else row[name] for name in ("latitude", "longitude")
    }
    time = int(row["event_time"].timestamp() * 1_000_000)
    amount = {"event_time": time, "amount_minor": row["amount_minor"]}
    return {**{name: row[name] for name in names}, **places, **amount}


def bits(values: dict[str, float]) -> dict[str, bytes]:
    return {name: struct.pack(">d", value) for name, value in values.items()}


def test_the_kernel_gives_the_bits_of_the_readers(replies: list[Before]) -> None:
    online = OnlineFeatures(FRAUD)
    for event, profiles in replies:
        plain = online.read(event, ProfileReply(True, tuple(profiles)))
        compiled = online.read(event, ProfileReply(True, packed(profiles)))
        assert bits(compiled.values) == bits(plain.values)


def test_the_kernel_itself_reads_them(
    replies: list[Before], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The readers have nothing to do where the kernel reads."""
    monkeypatch.setattr(PackedProfiles, "_decoded", lambda _self: pytest.fail("decoded"))
    online = OnlineFeatures(FRAUD)
    for event, profiles in replies[-200:]:
        assert online.read(event, ProfileReply(True, packed(profiles))).first


def test_without_compiled_code_the_readers_read(
    replies: list[Before], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.feature.online.IS_COMPILED", False)
    monkeypatch.setattr(PackedProgram, "read", lambda *_: pytest.fail("the program was run"))
    online = OnlineFeatures(FRAUD)
    for event, profiles in replies[-50:]:
        plain = online.read(event, ProfileReply(True, tuple(profiles)))
        assert bits(online.read(event, ProfileReply(True, packed(profiles))).values) == bits(
            plain.values
        )


@pytest.mark.parametrize(("high", "read"), [(2**37, float(2**61 + 1)), (2**38, None)])
def test_squares_too_large_for_the_kernel_are_left_to_the_readers(
    high: int, read: float | None
) -> None:
    program = PackedProgram()
    quantity = Quantity("number", ("number",), int, squared=True)
    with program.profile(2), program.field(1):
        steps = [AggregateStep(0, Sum(quantity), (0,), np.nan)]
        program.run(3, None, 0, [1, 2], [(0, -1, True)], steps)
    values = program.read(packed([[[5], [0, 1, high]]]), 7, [0.0])
    assert values == (None if read is None else [read])


def test_every_cut_and_every_other_tag_is_refused(replies: list[Before]) -> None:
    _, profiles = next((e, p) for e, p in reversed(replies) if all(p))
    program, state = program_of(len(profiles), profiles), packed(profiles).state
    values = [0.0] * len(FRAUD.features)
    assert program.read(PackedProfiles(state, 1), 0, values) is not None
    for end in range(4, len(state)):
        assert program.read(PackedProfiles(state[:end], 1), 0, values) is None
    changed = [state[:at] + b"\xc1" + state[at + 1 :] for at in range(4, len(state))]
    read = [program.read(PackedProfiles(other, 1), 0, values) for other in changed]
    assert read.count(None) > len(read) / 4  # the rest are bytes within numbers


def program_of(count: int, profiles: list[list[list[int]]]) -> PackedProgram:
    """A program that reads every field of some profiles as a run of one window."""
    program = PackedProgram()
    for profile in profiles[:count]:
        with program.profile(len(profile)):
            for field in range(len(profile)):
                with program.field(field):
                    program.run(1, None, 1, [0], [], [])
    return program


def test_profiles_of_another_count_or_layout_are_refused() -> None:
    profiles = [[[5], [3, 1]], [[6], [4, 2]]]
    program, state = program_of(2, profiles), packed(profiles).state
    read = [
        program.read(PackedProfiles(other, 1), 0, [])
        for other in (state, packed(profiles[:1]).state)
    ]
    assert read == [[], None]
    assert program_of(1, profiles).read(PackedProfiles(state, 1), 0, []) is None
    wider = [[*profiles[0], [7, 7]], profiles[1]]
    assert program.read(packed(wider), 0, []) is None


@pytest.mark.parametrize("clock", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_a_clock_that_no_store_keeps_is_left_to_the_readers(clock: int) -> None:
    profiles = [[[clock], [3, 1]]]
    assert program_of(1, profiles).read(packed(profiles), 0, []) is None


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**64 - 1])
def test_numbers_that_no_store_keeps_are_left_to_the_readers(number: int) -> None:
    profiles = [[[5], [3, number]]]
    assert program_of(1, profiles).read(packed(profiles), 0, []) is None


def test_sums_that_might_overflow_are_left_to_the_readers() -> None:
    program = PackedProgram()
    steps = [AggregateStep(0, Sum(Quantity("number", ("number",), int)), (0,), np.nan)]
    with program.profile(2), program.field(1):
        program.run(2, None, 1, [1], [], steps)
    tiles = [number for tile in range(128, 0, -1) for number in (tile, 2**53)]
    assert program.read(packed([[[5], tiles]]), 7, [0.0]) == [float(2**60)]
    assert program.read(packed([[[5], [200, 1, *tiles]]]), 7, [0.0]) is None


@pytest.mark.parametrize("number", [0, 127, 128, 255, 2**16, 2**32, 2**53, -1, -32, -33, -(2**40)])
def test_numbers_of_every_size_are_read(number: int) -> None:
    program = PackedProgram()
    with program.profile(2), program.field(1):
        program.latest(2**60, [False], steps_of_last())
    profiles = packed([[[5], [3, number]]])
    assert list(profiles) == [[[5], [3, number]]]
    assert program.read(profiles, 7, [0.0]) == [float(number)]


def steps_of_last() -> list[AggregateStep]:
    """The step that gives the newest event's quantity."""
    quantity = Quantity("number", ("number",), int)
    return [AggregateStep(0, LastValue(quantity, (quantity,), HOUR), (0, 1), np.nan)]
