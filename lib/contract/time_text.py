"""Texts of times: ISO 8601 in the spellings that databases and programs write, and `strptime`."""

import re
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.cast import cast_or_null, matching
from lib.contract.declaration import TIME

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


def iso_times(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
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


def parsed(text: str | None, form: str) -> datetime | None:
    """The time of `text` by a `strptime` format, None where it is none; `%z` reads +05, GMT."""
    if text is None:
        return None
    if form.endswith("%z"):
        text = f"{text}00" if _HOUR_OFFSET.search(text) else _ZERO_OFFSET.sub("+0000", text)
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None
