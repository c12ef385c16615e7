"""Aggregates of one event from packed profiles, without a Python object for each number.

The meaning is that of `ProfileReader` and of the aggregates' `finish`, to the bit: totals are whole
numbers, and each floating-point operation is rounded by itself (`compiled` allows no others). What
the kernel cannot read (another tag, a number that is too large, bytes too few) it leaves to them;
no byte of the store leads it outside of what it was given.

A *program* says what is read, as one array of whole numbers; places are places in it:

    profiles, then for each profile
        fields, place after the profile, then for each field that is read
            field, place after the field, then for each step
                kind, place after the step, arguments by kind, finishes, then for each finish
                    position in `values`, operation, place in `numbers`, five places in `measured`
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.feature.jit import Ints, compiled

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]
Number: TypeAlias = Any
"""A whole number, of 64 bits where it is compiled."""

RUN, LATEST, STREAK = 0, 1, 2
PART, SCALED, MEAN, DEVIATION, RATE, AGE, FIRST_SEEN, LAST, MULTIPLIED = range(9)
FINISH_PARTS = 5
MOST_MEASURED = 64
"""Numbers of one step."""

CLOCK = 0
_FINISH_SIZE = 3 + FINISH_PARTS
_LOW_BITS = 24
_HIGHEST = 1 << 38
_LARGEST = 1 << 53
_LARGEST_SUM = 1 << 60
_EMPTY, _ARRAY_16, _BINARY_8, _ARRAY_32 = 0x90, 0xDC, 0xC4, 0xDD
_FEW_FIELDS = 16
_FIELD_HEAD = 5
_FURTHEST = 1 << 62
_NEVER = -(1 << 62)
_UNREADABLE = -(1 << 63)


@compiled
def read_packed(
    state: Bytes, at: Number, program: Ints, numbers: Floats, time: Number, values: Floats
) -> bool:
    """Puts the aggregates of an event into `values`, those of which there is something.

    Args:
        state: holds the profiles.
        at: where their array begins; it ends with `state`.
        program: what is read.
        numbers: three for each finish: the value where there is nothing, and two of the operation.
        time: of the event.
        values: by position.

    Returns:
        Whether all could be read; if not, `values` is of no use.
    """
    if at + 3 > len(state) or state[at] != _ARRAY_16 or _big_endian(state, at + 1, 2) != program[0]:
        return False
    at, step = at + 3, 1
    for _ in range(program[0]):
        count, after = program[step], program[step + 1]
        step += 2
        if at < len(state) and state[at] == _EMPTY:
            at, step = at + 1, after
            continue
        at = _clock_place(state, at, count)
        if at < 0:
            return False
        clock, lengths = _big_endian(state, at, 8), at + 8
        if clock != _NEVER and abs(clock) > _LARGEST:
            return False
        now = max(clock, time)
        at, field = lengths + 4 * (count - 1), 1
        while step < after:
            while field < program[step]:
                at += _big_endian(state, lengths + 4 * (field - 1), 4)
                field += 1
            if program[step] == CLOCK:
                run = np.full(0 if clock == _NEVER else 1, clock)
            else:
                run = _run_of(state, at, at + _big_endian(state, lengths + 4 * (field - 1), 4))
            if not _read_run(run, program, step, numbers, time, now, values):
                return False
            step = program[step + 1]
        while field < count:
            at += _big_endian(state, lengths + 4 * (field - 1), 4)
            field += 1
    return bool(at == len(state))


@compiled
def _clock_place(state: Bytes, at: Number, count: Number) -> Number:
    """Where the clock of a profile of so many fields is; -1 where there is none such."""
    size = 1 if count < _FEW_FIELDS else 3
    offset = at + size + 2
    length = 4 + 4 * count
    if offset + length > len(state) or state[at + size] != _BINARY_8 or state[offset - 1] != length:
        return -1
    if size == 1:
        return offset if state[at] == _EMPTY + count else -1
    return offset if state[at] == _ARRAY_16 and _big_endian(state, at + 1, 2) == count else -1


@compiled
def _big_endian(state: Bytes, at: Number, size: Number) -> Number:
    """The whole number in so many bytes, the highest first; eight bytes have a sign."""
    number: Number = np.int64(0)
    for offset in range(at, at + size):
        number = (number << 8) | np.int64(state[offset])
    return number


@compiled
def _unpacked(state: Bytes, at: Number, end: Number) -> tuple[Number, Number]:
    """The packed number at a place, and the place after it: -1 where there is none.

    Stores keep whole numbers of 53 bits; others are for who reads them without overflow.
    """
    tag = np.int64(state[at]) if at < end else np.int64(_EMPTY)
    if tag < 0x80 or tag >= 0xE0:
        return (tag if tag < 0x80 else tag - 0x100), at + 1
    size = 1 << (tag & 3)
    if not 0xCC <= tag <= 0xD3 or at + 1 + size > end:
        return 0, -1
    number = _big_endian(state, at + 1, size)
    is_signed = tag >= 0xD0
    if is_signed and size < 8 and number >= 1 << (8 * size - 1):
        number -= 1 << (8 * size)
    is_small = -_LARGEST <= number <= _LARGEST and (is_signed or number >= 0)
    return number, at + 1 + size if is_small else -1


@compiled
def _run_of(state: Bytes, at: Number, past: Number) -> Ints:
    """The numbers of a field between two places; `_UNREADABLE` alone where they are none."""
    unreadable = np.full(1, _UNREADABLE)
    if past > len(state) or past < at + _FIELD_HEAD or state[at] != _ARRAY_32:
        return unreadable
    count = _big_endian(state, at + 1, 4)
    at += _FIELD_HEAD
    if count > past - at:
        return unreadable
    run = np.empty(count, dtype=np.int64)
    for offset in range(count):
        run[offset], at = _unpacked(state, at, past)
        if at < 0:
            return unreadable
    return run if at == past else unreadable


@compiled
def _read_run(
    run: Ints,
    program: Ints,
    step: Number,
    numbers: Floats,
    time: Number,
    now: Number,
    values: Floats,
) -> bool:
    """Runs the steps of one field."""
    after = program[step + 1]
    if len(run) == 0:
        return True
    if run[0] == _UNREADABLE:
        return False
    measured = np.zeros(MOST_MEASURED, dtype=np.float64)
    step += 2
    while step < after:
        kind, arguments = program[step], step + 2
        if kind == RUN:
            finishes = _measure_run(run, program, arguments, now, measured)
        elif kind == LATEST:
            finishes = _measure_latest(run, program, arguments, time, measured)
        else:
            finishes = _measure_streak(run, program, arguments, now, measured)
        if finishes < 0:
            return False
        if finishes > 0:
            _finish(program, finishes, numbers, measured, values)
        step = program[step + 1]
    return True


@compiled
def _measure_run(run: Ints, program: Ints, step: Number, now: Number, measured: Floats) -> Number:
    """Totals of a window: width, hop (0: no window), length, behind, then lanes and specials.

    Returns:
        Where the finishes are; 0 where no tile is in the window, -1 where a number is too large.
    """
    width, hop = program[step], program[step + 1]
    length, behind = program[step + 2], program[step + 3]
    if len(run) % width:
        return -1
    low: Number = -_FURTHEST
    high: Number = _FURTHEST
    if hop:
        low = (now - behind - length) // hop
        if behind:
            high = (now - behind) // hop
    start: Number = 0
    while start < len(run) and run[start] >= high:
        start += width
    stop = start
    while stop < len(run) and run[stop] >= low:
        stop += width
    if start == stop:
        return 0
    plain, lanes = program[step + 4], program[step + 5]
    step += 6
    sums = np.zeros(lanes, dtype=np.int64)
    for lane in range(lanes):
        for offset in range(start + program[step + lane], stop, width):
            sums[lane] += run[offset]
            if abs(sums[lane]) > _LARGEST_SUM:
                return -1
        if lane < plain:
            measured[lane] = sums[lane]
    return _measure_specials(sums, program, step + lanes, plain, measured)


@compiled
def _measure_specials(
    sums: Ints, program: Ints, step: Number, plain: Number, measured: Floats
) -> Number:
    """Totals of several lanes: how many, then lane, what is left out (-1: nothing), squares.

    Returns:
        Where the finishes are; -1 where a number is too large.
    """
    count = program[step]
    for special in range(count):
        offset = step + 1 + 3 * special
        lane, without, squared = program[offset], program[offset + 1], program[offset + 2]
        low_bits, high_bits = sums[lane], np.int64(0)
        if squared:
            high_bits = sums[lane + 1]
        if without >= 0:
            low_bits -= sums[without]
            if squared:
                high_bits -= sums[without + 1]
        if abs(high_bits) >= _HIGHEST:
            return -1
        measured[plain + special] = low_bits + (high_bits << _LOW_BITS)
    return step + 1 + 3 * count


@compiled
def _measure_latest(
    run: Ints, program: Ints, step: Number, time: Number, measured: Floats
) -> Number:
    """Age and quantities of a record: horizon, how many quantities, which of them are squares.

    Returns:
        Where the finishes are; 0 where the event is too old, -1 where the record is another.
    """
    age, quantities = abs(time - run[0]), program[step + 1]
    if age > program[step]:
        return 0
    measured[0], offset = age, 1
    for quantity in range(quantities):
        squared = program[step + 2 + quantity]
        if offset + squared >= len(run):
            return -1
        number = run[offset]
        if squared:
            if abs(run[offset + 1]) >= _HIGHEST:
                return -1
            number += run[offset + 1] << _LOW_BITS
        measured[1 + quantity] = number
        offset += 1 + squared
    return step + 2 + quantities


@compiled
def _measure_streak(
    run: Ints, program: Ints, step: Number, now: Number, measured: Floats
) -> Number:
    """The numbers of `Streak.columns`: width, events, bad, total, hop, length, behind.

    Returns:
        Where the finishes are; -1 where the run is another.
    """
    width, of_events = program[step], program[step + 1]
    of_bad, of_total = program[step + 2], program[step + 3]
    hop, length, behind = program[step + 4], program[step + 5], program[step + 6]
    if len(run) % width:
        return -1
    first, end = (now - behind - length) // hop, (now - behind) // hop
    good = oldest = newest = np.int64(-1)
    count = total = np.int64(0)
    for at in range(0, len(run), width):
        tile, events = run[at], run[at + of_events]
        if tile < first:
            break
        if tile >= end or events == 0:
            continue
        age = now - tile * hop
        newest = age if newest < 0 else newest
        if events > run[at + of_bad]:
            good = age
            break
        count += events
        total += run[at + of_total]
        if abs(total) > _LARGEST_SUM:
            return -1
        oldest = age
    measured[0], measured[1], measured[2] = good, count, oldest
    measured[3], measured[4] = total, newest
    return step + 7


@compiled
def _finish(program: Ints, step: Number, numbers: Floats, measured: Floats, values: Floats) -> None:
    """Turns what was measured into features."""
    for offset in range(step + 1, step + 1 + _FINISH_SIZE * program[step], _FINISH_SIZE):
        operation, number = program[offset + 1], program[offset + 2]
        empty, first, second = numbers[number], numbers[number + 1], numbers[number + 2]
        part, other = measured[program[offset + 3]], measured[program[offset + 4]]
        if operation == SCALED:
            part = part / first
        elif operation == MEAN:
            divisor = part * first
            part = other / divisor if divisor != 0 else empty
        elif operation == DEVIATION:
            spread = part * measured[program[offset + 5]] - other * other
            spread = 0.0 if spread < 0.0 else spread
            pairs = part * (part - 1.0)
            pairs = 1.0 if pairs < 1.0 else pairs
            part = empty if part < 2.0 else math.sqrt(spread / pairs) / first
        elif operation == RATE:
            part = (other + first) / (part + second)
        elif operation == AGE:
            part = empty if part < 0.0 else part / first
        elif operation == FIRST_SEEN:
            part = 1.0 if part < 0.0 else 0.0
        elif operation == LAST:
            part = empty if part < 0.0 else other
        elif operation == MULTIPLIED:
            part = empty if part < 0.0 else other * first
        values[program[offset]] = part
