"""What a column of a sample holds: numbers, times, texts or flags, how many, and within what."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.coercion import as_array, nan_to_null, plain
from lib.contract.number_text import PLAIN, NumberFormat
from lib.contract.suggestion.number_guess import NumberGuess, guess_number
from lib.contract.suggestion.time_guess import TimeGuess, guess_time

Kind: TypeAlias = Literal["empty", "flag", "number", "text", "bytes", "list", "other"]
NULL_WORDS = frozenset(
    (
        *("na", "n/a", "nan", "null", "none", "nil", "<na>", "\\n", "#n/a", "?", "-", "--"),
        *("missing", "."),
    )
)
"""Texts that stand for no value beside numbers, times and flags."""
TRUE_WORDS = frozenset(("true", "t", "yes", "y", "on", "1", "1.0"))
FALSE_WORDS = frozenset(("false", "f", "no", "n", "off", "0", "0.0"))
_MOST_TEXTS = 60
_FEW_TEXTS = 5
_FLAG = (False, True)


@dataclass(frozen=True)
class ColumnProfile:
    """What a column holds.

    Attributes:
        name: of the source column.
        kind: of its values; times have the kind of what they are written as.
        rows, present, distinct: of the sample: all, with a value, different values.
        low, high: smallest and largest number.
        is_whole: all numbers are whole.
        decimals: most decimals of a number, up to 6.
        number: how numbers are written, of texts.
        time: how times are written, None where it holds none.
        texts: the most frequent values as text, with how often they come.
        longest: bytes of the longest text.
        mean_words: of a text.
        missing: texts of it that stand for no value.
        sources: columns that are read together; itself alone where there are none.
        values: as they came, without what stands for none; null where there is none.
    """

    name: str
    kind: Kind
    rows: int
    present: int
    distinct: int = 0
    low: float | None = None
    high: float | None = None
    is_whole: bool = False
    decimals: int = 0
    number: NumberGuess | None = None
    time: TimeGuess | None = None
    texts: tuple[tuple[str, int], ...] = ()
    longest: int = 0
    mean_words: float = 0.0
    missing: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    values: pa.Array | None = field(default=None, repr=False, compare=False)

    @property
    def is_unique(self) -> bool:
        """Whether no value comes twice."""
        return 0 < self.present == self.distinct

    @property
    def different(self) -> tuple[str, ...]:
        """The different values where they are few, the most frequent first."""
        return tuple(text for text, _ in self.texts)

    @property
    def shape(self) -> str:
        """Type, range and uniqueness in words."""
        parts = [self._content()]
        if self.is_unique and self.present > 1:
            parts.append("each once")
        elif self.distinct > _FEW_TEXTS or (self.kind == "number" and self.time is None):
            parts.append(f"{self.distinct:,} different")
        if self.present < self.rows:
            parts.append(f"{1 - self.present / max(self.rows, 1):.1%} missing")
        return ", ".join(parts)

    def _content(self) -> str:
        if self.time is not None and not self.time.is_counter:
            return f"{self.time.evidence}, {self.time.span}"
        if self.kind == "number":
            kind = "whole numbers" if self.is_whole else "numbers"
            return f"{kind} from {self.low:g} to {self.high:g}"
        if self.kind == "flag":
            return f"two values: {', '.join(self.different)}"
        if self.kind == "text" and self.distinct <= _FEW_TEXTS:
            return f"texts: {', '.join(self.different)}"
        return {"empty": "no value", "text": "texts"}.get(self.kind, self.kind)


def profile_columns(rows: pa.Table, usual: NumberFormat = PLAIN) -> list[ColumnProfile]:
    """What each column of a sample holds.

    Args:
        rows: of the sample.
        usual: how numbers are written in the file.
    """
    return [profile_column(name, as_array(rows[name]), usual) for name in rows.column_names]


def profile_column(name: str, column: pa.Array, usual: NumberFormat = PLAIN) -> ColumnProfile:
    """What a column holds, see `ColumnProfile`."""
    values = plain(column)
    if pat.is_floating(values.type):
        values = nan_to_null(values)
    if pat.is_string(values.type):
        values = pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), None, values)
    rows, present = len(values), len(values) - values.null_count
    if not present:
        return ColumnProfile(name, "empty", rows, 0)
    if pat.is_nested(values.type):
        is_list = pat.is_list(values.type) or pat.is_large_list(values.type)
        numeric = is_list and (
            pat.is_floating(values.type.value_type) or pat.is_integer(values.type.value_type)
        )
        return ColumnProfile(name, "list" if numeric else "other", rows, present)
    if pat.is_binary(values.type) or pat.is_large_binary(values.type):
        return ColumnProfile(name, "bytes", rows, present)
    if not _is_read(values.type):
        return ColumnProfile(name, "other", rows, present)
    if pat.is_string(values.type):
        return _of_texts(name, values, usual)
    return _of_values(name, values)


def _is_read(kind: pa.DataType) -> bool:
    number = pat.is_integer(kind) or pat.is_floating(kind) or pat.is_decimal(kind)
    time = pat.is_timestamp(kind) or pat.is_date(kind)
    return bool(number or time or pat.is_boolean(kind) or pat.is_string(kind))


def _of_values(name: str, values: pa.Array) -> ColumnProfile:
    """A column of flags, times or numbers, which are typed."""
    non_null = values.drop_null()
    base = ColumnProfile(
        name,
        "flag",
        rows=len(values),
        present=len(non_null),
        distinct=len(pc.unique(non_null)),
        texts=_counts(non_null),
        values=values,
    )
    if pat.is_boolean(values.type):
        return base
    time = guess_time(name, non_null)
    if pat.is_timestamp(values.type) or pat.is_date(values.type):
        return replace(base, kind="text" if time else "other", time=time)
    return _numeric(replace(base, time=time), non_null.cast(pa.float64(), safe=False))


def _numeric(base: ColumnProfile, numbers: pa.Array) -> ColumnProfile:
    """The same of a column of numbers."""
    finite = numbers.filter(pc.is_finite(numbers))
    if not len(finite):
        return replace(base, kind="other", time=None)
    bounds = pc.min_max(finite).as_py()
    decimals = next((k for k in range(6) if pc.all(_near(finite, k)).as_py()), 6)
    is_flag = _numbers_in(base.different) == {0.0, 1.0}
    return replace(
        base,
        kind="flag" if is_flag and base.distinct == len(_FLAG) else "number",
        low=bounds["min"],
        high=bounds["max"],
        is_whole=decimals == 0,
        decimals=decimals,
    )


def _near(numbers: pa.Array, digits: int) -> pa.Array:
    scaled = pc.multiply(numbers, 10.0**digits)
    return pc.less_equal(pc.abs(pc.subtract(scaled, pc.round(scaled))), 1e-6)


def _numbers_in(texts: Iterable[str]) -> set[float]:
    numbers = set()
    for text in texts:
        with suppress(ValueError):
            numbers.add(float(text))
    return numbers


def _of_texts(name: str, values: pa.Array, usual: NumberFormat) -> ColumnProfile:
    """A column of texts, which may be written numbers, times or flags."""
    trimmed = pc.utf8_trim_whitespace(values.drop_null())
    is_null_word = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(sorted(NULL_WORDS)))
    content = trimmed.filter(pc.invert(is_null_word))
    words = tuple(sorted(pc.unique(values.drop_null().filter(is_null_word)).to_pylist()))
    typed = _typed_texts(name, content, usual) if len(content) else _Typed()
    if words and typed.is_typed:
        values = pc.if_else(pc.is_in(values, value_set=pa.array(words)), None, values)
    elif words:
        words, content = (), trimmed
        typed = _typed_texts(name, content, usual)
    base = ColumnProfile(
        name,
        "flag" if typed.is_flag else "text",
        rows=len(values),
        present=len(content),
        distinct=len(pc.unique(content)),
        number=typed.number,
        time=typed.time,
        texts=_counts(content),
        longest=pc.max(pc.binary_length(values)).as_py() or 0,
        mean_words=_mean_words(content),
        missing=words,
        values=values,
    )
    return base if typed.number is None else _numeric(base, typed.number.values.drop_null())


@dataclass(frozen=True)
class _Typed:
    """What the texts of a column are besides texts."""

    is_flag: bool = False
    number: NumberGuess | None = None
    time: TimeGuess | None = None

    @property
    def is_typed(self) -> bool:
        return self.is_flag or self.number is not None or self.time is not None


def _typed_texts(name: str, content: pa.Array, usual: NumberFormat) -> _Typed:
    lowered = pc.unique(pc.utf8_lower(content)).slice(0, len(_FLAG) + 1).to_pylist()
    spelt = set(lowered)
    is_flag = len(spelt) == len(_FLAG) and spelt <= TRUE_WORDS | FALSE_WORDS
    is_flag = is_flag and bool(spelt & TRUE_WORDS) and bool(spelt & FALSE_WORDS)
    return _Typed(is_flag, guess_number(content, usual), guess_time(name, content))


def _counts(values: pa.Array) -> tuple[tuple[str, int], ...]:
    """The most frequent values as text, with how often they come."""
    counted = pc.value_counts(values)
    if len(counted) > 20 * _MOST_TEXTS:
        counted = counted.slice(0, 20 * _MOST_TEXTS)
    pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
    listed = sorted(((str(value), count) for value, count in pairs), key=lambda p: (-p[1], p[0]))
    return tuple(listed[:_MOST_TEXTS])


def _mean_words(texts: pa.Array) -> float:
    few: Sequence[str] = texts.slice(0, 500).to_pylist()
    return sum(len(text.split()) for text in few) / max(len(few), 1)
