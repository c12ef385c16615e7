"""What stands in a required column that nothing fills, so that the file parses; always unsure."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.types as pat

from lib.contract.declaration import Column
from lib.contract.suggestion.column_choice import Choice
from lib.contract.suggestion.column_names import words_of
from lib.contract.suggestion.column_profile import ColumnProfile
from lib.contract.suggestion.entry import Entry, Value
from lib.contract.suggestion.money_guess import currencies_of

_USUAL_CURRENCY = "USD"
_LONG_AGO = "2000-01-01T00:00:00Z"
_LABEL_DELAY_DAYS = 7


def lacking_entry(
    column: Column, choice: Choice, several_files: bool, profiles: Sequence[ColumnProfile]
) -> Entry:
    """The line of a required column that no source column fills: it parses, and is to be mended.

    Args:
        column: of the contract.
        choice: what is filled.
        several_files: whether the data set is a folder of them.
        profiles: of the source columns, times that several hold together first.
    """
    value, text = _stand_in(column, choice, several_files, profiles)
    doubts = [f"no column of the file fills it ({column.description}); {text}"]
    ids = [
        p.name for p in profiles if words_of(p.name)[-1:] == ("id",) and p.name not in choice.used
    ]
    if column.is_identifier and ids:
        doubts.append(f"'lookup' may find it in another file by {', '.join(ids[:3])}")
    return Entry(column.name, value, "", tuple(doubts))


def _stand_in(
    column: Column, choice: Choice, several_files: bool, profiles: Sequence[ColumnProfile]
) -> tuple[Mapping[str, Value], str]:
    name, contract = column.name, choice.candidate.contract
    if pat.is_timestamp(column.type):
        keys = _later_time(profiles) if name != "event_time" else None
        if keys is not None:
            text = f"the time of the event and {_LABEL_DELAY_DAYS} days stand there"
            return keys, text
        return {"value": _LONG_AGO}, f"{_LONG_AGO} stands in every row"
    if name in choice.candidate.row_ids or (column.is_identifier and contract.key == (name,)):
        parts = ["folder", "stem", "row_number"] if several_files else "row_number"
        return {"from_file": parts}, "the number of the row stands there"
    if column.is_identifier and contract.extras is not None:
        return {"from_file": "stem"}, "the name of the file stands there"
    constant = _constant(column, choice)
    unit: dict[str, Value] = {"unit": "minor"} if column.is_money else {}
    return {"value": constant, **unit}, f"{constant[:40]} stands in every row"


def _later_time(profiles: Sequence[ColumnProfile]) -> dict[str, Value] | None:
    """Keys of the time of an event, moved by the days after which its label is usually known."""
    for profile in sorted(profiles, key=lambda p: p.time is None or p.time.is_counter):
        time = profile.time
        if time is None:
            return None
        days = int(str(time.entry_keys.get("plus", "0d")).removesuffix("d")) + _LABEL_DELAY_DAYS
        source = list(profile.sources) or profile.name
        return {"from": source, **time.entry_keys, "plus": f"{days}d"}
    return None


def _constant(column: Column, choice: Choice) -> str:
    if column.name == "currency":
        amounts = choice.matches.get("amount_minor")
        codes = [] if amounts is None else currencies_of(amounts.profile)
        return codes[0] if codes else _USUAL_CURRENCY
    if column.type == pa.bool_():
        return "false"
    if column.values:
        return column.values[0]
    if column.type == pa.string():
        return "unknown"
    low = column.low or 0
    if pat.is_list(column.type):
        return ",".join(["0"] * int(max(low, 1)))
    return f"{max(low, 0):g}"
