"""Which columns hold times, and how these are written; a zone is proposed and marked as unsure."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.cast import cast_or_null
from lib.contract.declaration import PLAUSIBLE_FROM_US, PLAUSIBLE_TO_US, ContractError
from lib.contract.suggestion.column_names import words_of
from lib.contract.suggestion.entry import Value
from lib.contract.time_reading import EPOCH_UNITS_US, TimeReading

_SHARE = 0.95
_MOST_TRIED, _FIRST = 300, 5
_DAY_US = 86_400_000_000
NO_ZONE = "the times carry no zone and UTC is taken; another zone moves them by hours"
_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "")
_DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *(
        "%d.%m.%y",
        "%m/%d/%y",
        "%d/%m/%y",
        "%d-%b-%Y",
        "%d-%b-%y",
        "%d %b %Y",
        "%b %d, %Y",
        "%b %d %Y",
    ),
    *("%d %B %Y", "%B %d, %Y", "%d%b%Y"),
)
_FORMATS = (
    *(f"{day} {clock}".rstrip() for day in _DAYS for clock in _CLOCKS),
    *("%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d %H:%M:%S", "%Y-%m-%d-%H.%M.%S.%f"),
    *("%Y-%m-%dT%H:%M:%S.%f%z", "%a %b %d %H:%M:%S %z %Y", "%d/%b/%Y:%H:%M:%S %z"),
    *("%a, %d %b %Y %H:%M:%S %z", "%Y-%m-%d %I:%M:%S %p", "%Y-%m"),
)
_SWAPPED = {"%d/%m": "%m/%d", "%m/%d": "%d/%m", "%d-%m": "%m-%d", "%m-%d": "%d-%m"}
_TIME_WORDS = frozenset(
    (
        *("time", "date", "datetime", "timestamp", "ts", "dt", "at", "epoch", "day"),
        *("created", "updated", "when", "since", "utc", "start", "end", "started", "ended"),
        *("expire", "expiry", "init"),
    )
)
_COUNTED = {
    "s": frozenset(["dt", "seconds", "second", "secs", "sec", "time"]),
    "ms": frozenset(["ms", "millis", "milliseconds"]),
    "d": frozenset(["day", "days"]),
    "h": frozenset(["step", "cycle", "cycles", "hour", "hours", "tick", "udi", "period"]),
}
_ZERO_DAY = 10_957
"""Days from 1970 to 2000-01-01, from which counters without a date are read."""
_SPREADSHEET = (32_874.0, 73_051.0)
_ZONED = re.compile(r"(Z|z|[+-]\d{2}(:?\d{2})?|UTC|GMT|\])$")


@dataclass(frozen=True)
class TimeGuess:
    """How times are written.

    Attributes:
        keys: of the column in a mapping file, `timezone` apart.
        low, high: first and last, microseconds since 1970 UTC.
        has_zone: they are points in time without a zone being told.
        unsure: what somebody has to confirm.
        is_counter: they count from a time that the data do not tell.
        evidence: what they look like.
        missing: texts that stand for no time.
    """

    keys: dict[str, Value]
    low: int
    high: int
    has_zone: bool
    unsure: tuple[str, ...] = ()
    is_counter: bool = False
    evidence: str = "times"
    missing: tuple[str, ...] = ()

    @property
    def entry_keys(self) -> dict[str, Value]:
        """All keys of the column, with the zone that is proposed where none is told."""
        return self.keys if self.has_zone else {**self.keys, "timezone": "UTC"}

    @property
    def doubts(self) -> tuple[str, ...]:
        """All that somebody has to confirm."""
        return self.unsure if self.has_zone else (*self.unsure, NO_ZONE)

    @property
    def span(self) -> str:
        """First and last time as text."""
        return f"{time_text(self.low)} to {time_text(self.high)}"


def time_text(time_us: int) -> str:
    """A time as text, of any year that Python knows."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    except OverflowError:
        return f"{time_us} us"
    return moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")


def guess_time(name: str, values: pa.Array) -> TimeGuess | None:
    """How the times of a column are written; None where it holds none.

    Args:
        name: of the column; numbers are times only where it says so.
        values: without null.
    """
    if pat.is_timestamp(values.type) or pat.is_date(values.type):
        return _typed(name, values)
    if pat.is_string(values.type):
        texts = pc.utf8_trim_whitespace(values)
        counted = _counted(name, cast_or_null(texts, pa.float64()))
        return _dated(name, pc.unique(texts)) or counted
    if pat.is_integer(values.type) or pat.is_floating(values.type) or pat.is_decimal(values.type):
        numbers = values.cast(pa.float64(), safe=False)
        return _compact(name, values) or _counted(name, numbers)
    return None


def _typed(name: str, values: pa.Array) -> TimeGuess | None:
    has_zone = pat.is_timestamp(values.type) and values.type.tz is not None
    read = _plausible(TimeReading(timezone="UTC"), values)
    if read is None:
        return None
    low, high, missing = read
    kind = "days" if pat.is_date(values.type) else "times"
    return _in_zone(TimeGuess({}, low, high, has_zone, evidence=kind, missing=missing), name)


def _in_zone(guess: TimeGuess, name: str) -> TimeGuess:
    """The same with the zone that the column's name tells."""
    if guess.has_zone or not {"utc", "gmt"} & set(words_of(name)):
        return guess
    evidence = f"{guess.evidence}, in UTC by its name"
    return replace(guess, keys={**guess.keys, "timezone": "UTC"}, has_zone=True, evidence=evidence)


def _plausible(reading: TimeReading, values: pa.Array) -> tuple[int, int, tuple[str, ...]] | None:
    """First and last time that is plausible, and days that stand for none; None: too few are."""
    try:
        times, _ = reading.read("time", values)
    except (ContractError, pa.ArrowInvalid):
        return None
    numbers = times.cast(pa.int64()).drop_null()
    inside = pc.and_(
        pc.greater_equal(numbers, PLAUSIBLE_FROM_US), pc.less_equal(numbers, PLAUSIBLE_TO_US)
    )
    plausible = numbers.filter(inside)
    if len(numbers) < _SHARE * len(values) or len(plausible) < 0.5 * len(values):
        return None
    outside = pc.unique(numbers.filter(pc.invert(inside))).to_pylist()
    days = tuple(time_text(time) for time in outside if time % _DAY_US == 0)[:3]
    missing = tuple(day for day in days if re.fullmatch(r"\d{4}-\d\d-\d\d", day))
    bounds = pc.min_max(plausible).as_py()
    return bounds["min"], bounds["max"], missing


def _dated(name: str, texts: pa.Array) -> TimeGuess | None:
    """Times of texts: ISO 8601, or the format that reads most of them."""
    few = texts.slice(0, _MOST_TRIED)
    if not len(few) or pc.max(pc.utf8_length(few)).as_py() > 45:
        return None
    if _plausible(TimeReading(timezone="UTC"), few) is not None:
        read = _plausible(TimeReading(timezone="UTC"), texts)
        if read is None:
            return None
        zoned = [bool(_ZONED.search(text[10:])) for text in texts.to_pylist()]
        guess = TimeGuess({}, *read[:2], all(zoned), evidence="ISO 8601 times", missing=read[2])
        if any(zoned) and not all(zoned):
            return replace(guess, unsure=("some times carry a zone and some do not",))
        return _in_zone(guess, name)
    form, doubt = _best_format(few)
    by_format = guess_by_format(texts, form) if form else None
    if by_format is None:
        return None
    return _in_zone(replace(by_format, unsure=(doubt,) if doubt else ()), name)


def guess_by_format(texts: pa.Array, form: str) -> TimeGuess | None:
    """Times of texts of a `strptime` format; None where they are none."""
    read = _plausible(TimeReading(timezone="UTC", format=form), texts)
    if read is None:
        return None
    low, high, missing = read
    evidence = f"times such as {texts[0]}"
    return TimeGuess({"format": form}, low, high, "%z" in form, evidence=evidence, missing=missing)


def _best_format(texts: pa.Array) -> tuple[str, str]:
    """The format that reads most texts, "" where none does, and what is not sure about it."""
    listed = texts.to_pylist()
    possible = [form for form in _FORMATS if any(_reads(text, form) for text in listed[:_FIRST])]
    shares = {form: sum(_reads(text, form) for text in listed) / len(listed) for form in possible}
    if not shares:
        return "", ""
    form, share = max(shares.items(), key=lambda pair: pair[1])
    if share < _SHARE:
        return "", ""
    for part, swapped in _SWAPPED.items():
        other = form.replace(part, swapped)
        if other != form and shares.get(other, 0.0) >= share:
            return form, f"day and month may be swapped: no value tells {form} from {other}"
    return form, ""


def _reads(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _compact(name: str, values: pa.Array) -> TimeGuess | None:
    """Whole numbers that are days, as 20240131."""
    if not pat.is_integer(values.type) or not _sounds_like_time(name):
        return None
    bounds = pc.min_max(values).as_py()
    if not 19_000_101 <= bounds["min"] <= bounds["max"] <= 99_991_231:
        return None
    read = _plausible(TimeReading(timezone="UTC", format="%Y%m%d"), values)
    if read is None:
        return None
    return TimeGuess({"format": "%Y%m%d"}, *read[:2], False, evidence="days such as 20240131")


def _sounds_like_time(name: str) -> bool:
    words = words_of(name)
    return bool(_TIME_WORDS & set(words)) or "".join(words).endswith(("time", "date", "timestamp"))


def _counted(name: str, numbers: pa.Array) -> TimeGuess | None:
    """Numbers that count from 1970 UTC, from 1900 (spreadsheets), or from nobody knows when."""
    valid = numbers.drop_null()
    if not len(valid) or len(valid) < _SHARE * len(numbers):
        return None
    bounds = pc.min_max(valid).as_py()
    low, high = float(bounds["min"]), float(bounds["max"])
    words = set(words_of(name))
    if _sounds_like_time(name) or words & frozenset().union(*_COUNTED.values()):
        for unit in ("s", "ms", "us", "ns"):
            scale = EPOCH_UNITS_US[unit]
            if PLAUSIBLE_FROM_US <= low * scale <= high * scale <= PLAUSIBLE_TO_US:
                text = f"numbers from {low:.0f} to {high:.0f}, which are {unit} since 1970"
                return TimeGuess(
                    {"unit": unit}, int(low * scale), int(high * scale), True, evidence=text
                )
    if _sounds_like_time(name) and _SPREADSHEET[0] <= low <= high <= _SPREADSHEET[1]:
        first, last = (int((value - 25_569) * _DAY_US) for value in (low, high))
        keys: dict[str, Value] = {"unit": "d", "plus": "-25569d"}
        doubt = ("read as days of a spreadsheet, in UTC",)
        return TimeGuess(keys, first, last, True, doubt, evidence="days of a spreadsheet")
    counted = next((unit for unit, listed in _COUNTED.items() if listed & words), None)
    return None if counted is None else guess_counter(counted, low, high)


def guess_counter(unit: str, low: float, high: float) -> TimeGuess | None:
    """Times of numbers that count from nobody knows when; None where these are too large."""
    if low < 0:
        return None
    scale, start = EPOCH_UNITS_US[unit], _ZERO_DAY * _DAY_US
    first, last = (int(value * scale) + start for value in (low, high))
    if last > PLAUSIBLE_TO_US:
        return None
    doubt = (
        f"it counts from a time that the data do not tell; a step is taken for 1 {unit} from "
        "2000-01-01 UTC on",
    )
    keys: dict[str, Value] = {"unit": unit, "plus": f"{_ZERO_DAY}d"}
    text = f"a counter from {low:g} to {high:g}"
    return TimeGuess(keys, first, last, True, doubt, is_counter=True, evidence=text)
