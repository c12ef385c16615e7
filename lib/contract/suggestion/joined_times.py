"""Times whose parts stand in several columns: a day and a clock time, or year, month and day."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.cast import to_text, whole_ids
from lib.contract.coercion import as_array
from lib.contract.suggestion.column_names import words_of
from lib.contract.suggestion.column_profile import ColumnProfile
from lib.contract.suggestion.entry import Value
from lib.contract.suggestion.time_guess import TimeGuess, guess_by_format, guess_time

_CLOCK = r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$"
_FEW = 2_000


def joined_times(rows: pa.Table, profiles: Sequence[ColumnProfile]) -> list[ColumnProfile]:
    """Profiles of the times that several columns hold together.

    Args:
        rows: of the sample.
        profiles: of its columns.
    """
    by_word = {profile.name.lower().strip(): profile for profile in profiles}
    clocks = [p for p in profiles if p.kind == "text" and _is_clock(p)]
    joined: list[ColumnProfile] = []
    parts = [by_word.get(word) for word in ("year", "month", "day")]
    if all(part is not None and part.kind == "number" for part in parts):
        days = [part for part in parts if part is not None]
        joined += _joined(rows, [*days, *clocks[:1]], "-")
    dates = [p for p in profiles if p.time is not None and not p.time.is_counter]
    dates = [p for p in dates if {"date", "day"} & set(words_of(p.name)) and _are_days(p)]
    if dates and clocks:
        joined += _joined(rows, [dates[0], clocks[0]], " ")
    return joined


def _is_clock(profile: ColumnProfile) -> bool:
    texts = pa.array(profile.different, pa.string())
    return bool(len(texts) and pc.all(pc.match_substring_regex(texts, _CLOCK)).as_py())


def _are_days(profile: ColumnProfile) -> bool:
    day = 86_400_000_000
    return profile.time is not None and profile.time.low % day == profile.time.high % day == 0


def _joined(rows: pa.Table, parts: Sequence[ColumnProfile], join: str) -> list[ColumnProfile]:
    texts = []
    for part in parts:
        values = as_array(rows[part.name].slice(0, _FEW))
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.date32(), safe=False).cast(pa.string())
        elif pa.types.is_date(values.type):
            values = values.cast(pa.string())
        texts.append(whole_ids(to_text(part.name, values)[0])[0])
    values = pc.binary_join_element_wise(*texts, join).drop_null()
    if not len(values):
        return []
    form = "%Y-%m-%d-%H:%M" if join == "-" and len(parts) > 3 else ""
    time = guess_time("time", values)
    if time is None and form:
        time = _by_format(values, (form, f"{form}:%S"))
    if time is None:
        return []
    names = tuple(part.name for part in parts)
    keys = {**({} if join == " " else {"join": join}), **time.keys}
    present = min(part.present for part in parts)
    return [
        ColumnProfile(
            ", ".join(names),
            "text",
            rows.num_rows,
            present,
            len(pc.unique(values)),
            time=_with_keys(time, keys),
            sources=names,
            values=values,
        )
    ]


def _with_keys(time: TimeGuess, keys: dict[str, Value]) -> TimeGuess:
    return replace(time, keys=keys, evidence=f"{time.evidence}, joined")


def _by_format(texts: pa.Array, forms: Sequence[str]) -> TimeGuess | None:
    guesses = (guess_by_format(texts, form) for form in forms)
    return next((guess for guess in guesses if guess is not None), None)
