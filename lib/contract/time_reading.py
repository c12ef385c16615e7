"""Times as UTC microseconds, from naive times with a zone, epochs and text.

A time zone is never guessed. Rules of the zones come from the IANA time zone database.
"""

import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.cast import NUMBER, Converted, cast_or_null, lost, matching
from lib.contract.checked import Mask
from lib.contract.coercion import nan_to_null, plain
from lib.contract.declaration import TIME, ContractError
from lib.contract.number_text import PLAIN, NumberFormat
from lib.contract.row_check import Fault, as_mask

EPOCH_UNITS_US = {
    "d": 86_400_000_000.0,
    "h": 3_600_000_000.0,
    "s": 1_000_000.0,
    "ms": 1_000.0,
    "us": 1.0,
    "ns": 0.001,
}
_DECLARE = (
    "declare what they count from 1970 UTC in the mapping file, as 'unit: s', 'ms', 'us' or 'ns', "
    "or how a date is written in them, as 'format: \"%Y%m%d\"'"
)
_COUNT = r"^[+-]?\d{1,19}$"
NAIVE = pa.timestamp("us")
_ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
_ISO_NAIVE = _ISO + "$"
_ISO_ZONED = _ISO + r"(Z|[+-]\d{2}:?\d{2})$"
_SECOND_FRACTION = r"(\.\d{6})\d{1,3}"
_MIDNIGHT_AFTER = r"^(\d{4}-?\d{2}-?\d{2}[ Tt])24(:?00(?::?00(?:[.,]0+)?)?)(?:[^\d:.,]|$)"
_HOUR_24 = r"^(\d{4}-?\d{2}-?\d{2}[ Tt])24"
_DAY = pa.scalar(86_400_000_000, pa.duration("us"))
_CLOCK = r"(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)"
_BASIC = r"^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})"
_RESPELT = (
    (r"^(\S+)t", r"\1T"),
    (_BASIC, r"\1-\2-\3T\4:\5:\6"),
    (r"(:\d{2}),(\d)", r"\1.\2"),
    (_CLOCK + r" ?(?i:z|utc|gmt)$", r"\1Z"),
    (_CLOCK + r" ?([+-]\d{2})$", r"\1\2:00"),
    (_CLOCK + r" ([+-]\d{2}:?\d{2})$", r"\1\2"),
    (r"(Z|[+-]\d{2}:\d{2})\[[A-Za-z0-9_/+-]+\]$", r"\1"),
    (_SECOND_FRACTION, r"\1"),
)
_ZERO_OFFSET = re.compile(r"(UTC|GMT)$")
_HOUR_OFFSET = re.compile(r"[+-]\d{2}$")


def _iso_times(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Times of ISO 8601 texts: those with a zone and those without, null elsewhere.

    First the usual spelling; what is left is spelt again: `+00`, ` UTC`, `z`, a comma before the
    fraction, a space before the offset, Java's `+01:00[Europe/Berlin]`, the basic form
    20240301T100000Z, and 24:00, which ends its day.
    """
    texts = pc.replace_substring_regex(texts, _SECOND_FRACTION, r"\1")
    zoned, naive = _usual(texts)
    left = pc.and_(pc.is_null(zoned), pc.and_(pc.is_null(naive), pc.is_valid(texts)))
    if not pc.any(left).as_py():
        return zoned, naive
    again = pc.if_else(left, texts, pa.scalar(None, type=texts.type))
    late = pc.match_substring_regex(again, _MIDNIGHT_AFTER).fill_null(False)
    again = pc.if_else(late, pc.replace_substring_regex(again, _HOUR_24, r"\100"), again)
    for pattern, spelling in _RESPELT:
        again = pc.replace_substring_regex(again, pattern, spelling)
    more_zoned, more_naive = (
        pc.if_else(late, pc.add(times, _DAY), times) for times in _usual(again)
    )
    return pc.coalesce(zoned, more_zoned), pc.coalesce(naive, more_naive)


def _usual(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    return (
        cast_or_null(matching(texts, _ISO_ZONED), TIME),
        cast_or_null(matching(texts, _ISO_NAIVE), NAIVE),
    )


def _parsed(text: str | None, form: str) -> datetime | None:
    """The time of `text` by a `strptime` format, None where it is none; `%z` reads +05, GMT."""
    if text is None:
        return None
    if form.endswith("%z"):
        text = f"{text}00" if _HOUR_OFFSET.search(text) else _ZERO_OFFSET.sub("+0000", text)
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class TimeReading:
    """How the times of one source column are written.

    Args:
        timezone: IANA zone of naive times ("Europe/Berlin", "UTC"); times that carry a zone keep
            it. None where each value carries its own zone or counts from the epoch.
        epoch_unit: "d", "h", "s", "ms", "us" or "ns" for numbers counted from 1970 UTC.
        format: `strptime` format of text; None means ISO 8601.
        plus_us: microseconds added to every time (a label known seven days later).
        number: how numbers counted from the epoch are written as text.
    """

    timezone: str | None = None
    epoch_unit: str | None = None
    format: str | None = None
    plus_us: int = 0
    number: NumberFormat = PLAIN

    def read(self, name: str, raw: pa.Array) -> Converted:
        """UTC times of `raw`, with the rows that have no such time.

        Raises:
            ContractError: the column's times are naive and no zone is declared, or are numbers
                and no unit is declared, or its type holds no times.
        """
        raw = plain(raw)
        if pat.is_null(raw.type):
            return pa.nulls(len(raw), TIME), []
        times, faults = self._by_type(name, raw)
        if self.plus_us:
            moved = pc.add(times.cast(pa.int64()), self.plus_us)
            times = moved.cast(TIME)
        return times, faults

    def _by_type(self, name: str, raw: pa.Array) -> Converted:
        if pat.is_string(raw.type):
            return self._from_text(name, raw)
        if pat.is_integer(raw.type) or pat.is_floating(raw.type):
            return self._from_epoch(name, raw)
        if pat.is_decimal(raw.type) and self.epoch_unit is not None:
            return self._counted(name, raw, raw.cast(pa.string()))
        if pat.is_timestamp(raw.type) and raw.type.tz is not None:
            return _resolved(name, raw, TIME)
        if pat.is_timestamp(raw.type) or pat.is_date(raw.type):
            naive, faults = _resolved(name, raw, NAIVE)
            times, more = self._localised(name, naive)
            return times, [*faults, *more]
        raise ContractError(
            f"column '{name}': expected times (timestamps, dates, ISO 8601 text or numbers "
            f"counted from 1970), came {raw.type}; map another column"
        )

    def _from_epoch(self, name: str, raw: pa.Array) -> Converted:
        if self.epoch_unit is None:
            raise ContractError(f"column '{name}': its times are numbers ({raw.type}); {_DECLARE}")
        scale = EPOCH_UNITS_US[self.epoch_unit]
        if pat.is_integer(raw.type):
            return _scaled_integers(name, raw, scale)
        return _scaled_floats(name, nan_to_null(raw.cast(pa.float64())), scale)

    def _from_text(self, name: str, raw: pa.Array) -> Converted:
        texts = pc.ascii_trim_whitespace(raw)
        if self.format is not None:
            return self._formatted(name, raw, texts)
        if self.epoch_unit is not None:
            return self._counted(name, raw, texts)
        zoned, naive = _iso_times(texts)
        unread = lost(raw, pc.coalesce(zoned.cast(NAIVE), naive))
        faults = self._unread(name, raw, texts, unread) if unread.any() else []
        times, more = self._localised(name, naive)
        return pc.coalesce(zoned, times), [*faults, *more]

    def _unread(self, name: str, raw: pa.Array, texts: pa.Array, unread: Mask) -> list[Fault]:
        """Why texts are no times; numbers in all of them mean that their unit is not declared."""
        numbers = unread & as_mask(pc.match_substring_regex(self.number.canonical(texts), NUMBER))
        if self.timezone is None and numbers.sum() == len(raw) - raw.null_count:
            raise ContractError(f"column '{name}': its times are numbers in text; {_DECLARE}")
        return [
            (numbers, f"{name}: a number; {_DECLARE}"),
            (
                unread & ~numbers,
                f"{name}: not an ISO 8601 time; declare 'format' where it is another",
            ),
        ]

    def _counted(self, name: str, raw: pa.Array, texts: pa.Array) -> Converted:
        """Times of texts such as 1709251200 and 1709251200.25, as of the same numbers."""
        texts = self.number.canonical(texts)
        scale = EPOCH_UNITS_US[str(self.epoch_unit)]
        counts = cast_or_null(matching(texts, _COUNT), pa.int64())
        times, faults = _scaled_integers(name, counts, scale)
        if counts.null_count > raw.null_count:
            rest = pc.if_else(pc.is_null(counts), texts, pa.scalar(None, type=texts.type))
            floats = cast_or_null(matching(rest, NUMBER), pa.float64())
            finer, more = _scaled_floats(name, floats, scale)
            unread = lost(raw, counts) & lost(raw, floats)
            fault = f"{name}: not a number of '{self.epoch_unit}' counted from 1970 UTC"
            return pc.coalesce(times, finer), [(unread, fault), *faults, *more]
        return times, faults

    def _formatted(self, name: str, raw: pa.Array, texts: pa.Array) -> Converted:
        encoded = texts.dictionary_encode()
        read = [_parsed(text, str(self.format)) for text in encoded.dictionary.to_pylist()]
        fault = f"{name}: not a time of the format '{self.format}'"
        if any(timestamp is not None and timestamp.tzinfo is not None for timestamp in read):
            times = pa.array(read, type=TIME).take(encoded.indices)
            return times, [(lost(raw, times), fault)]
        naive = pa.array(read, type=NAIVE).take(encoded.indices)
        times, faults = self._localised(name, naive)
        return times, [(lost(raw, naive), fault), *faults]

    def _localised(self, name: str, naive: pa.Array) -> Converted:
        if naive.null_count == len(naive):
            return pa.nulls(len(naive), TIME), []
        if self.timezone is None:
            raise ContractError(
                f"column '{name}': its times carry no time zone; say which one they are in, in "
                f"the mapping file: {name}: {{from: ..., timezone: UTC}} (or Europe/Berlin, ...)"
            )
        if self.timezone == "UTC":
            return naive.cast(TIME), []
        early, late = (
            pc.assume_timezone(naive, self.timezone, ambiguous=which, nonexistent=which)
            for which in ("earliest", "latest")
        )
        sure = pc.equal(early, late)
        times = pc.if_else(sure, early, pa.scalar(None, type=early.type)).cast(TIME)
        return times, _clock_changes(name, self.timezone, naive, early, sure)


def _resolved(name: str, raw: pa.Array, target_type: pa.DataType) -> Converted:
    finer = pat.is_timestamp(raw.type) and raw.type.unit == "ns"
    times = cast_or_null(raw, target_type, safe=not finer)
    return times, [(lost(raw, times), f"{name}: not a time")]


def _scaled_integers(name: str, raw: pa.Array, scale: float) -> Converted:
    ticks = cast_or_null(raw, pa.int64())
    if scale < 1:
        return pc.divide(ticks, int(1 / scale)).cast(TIME), []
    limit = (2**62) // int(scale)
    small = pc.and_(pc.less(ticks, limit), pc.greater(ticks, -limit))
    kept = pc.if_else(small, ticks, pa.scalar(None, type=pa.int64()))
    times = pc.multiply(kept, int(scale)).cast(TIME)
    return times, [(lost(raw, times), f"{name}: not a time")]


def _scaled_floats(name: str, raw: pa.Array, scale: float) -> Converted:
    scaled = pc.round(pc.multiply(raw, scale))
    small = pc.less(pc.abs(scaled), 2.0**62)
    kept = pc.if_else(small, scaled, pa.scalar(None, type=pa.float64()))
    return kept.cast(pa.int64()).cast(TIME), [(lost(raw, kept), f"{name}: not a time")]


def _clock_changes(
    name: str, zone: str, naive: pa.Array, early: pa.Array, sure: pa.Array
) -> list[Fault]:
    unsure = ~np.asarray(sure.fill_null(True).to_numpy(zero_copy_only=False), dtype=np.bool_)
    again = pc.equal(pc.local_timestamp(early), naive)
    twice = unsure & again.fill_null(False).to_numpy(zero_copy_only=False)
    return [
        (twice, f"{name}: local time happened twice in {zone} (clock change)"),
        (unsure & ~twice, f"{name}: local time did not exist in {zone} (clock change)"),
    ]
