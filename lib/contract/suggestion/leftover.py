"""Columns that fill nothing of the contract: attributes and sensors, or left out and why."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pat

from lib.contract.attribute_section import MOST_ATTRIBUTES, RESERVED_NAMES
from lib.contract.declaration import LONGEST_ID_BYTES
from lib.contract.number_text import NumberFormat
from lib.contract.suggestion.column_choice import Choice
from lib.contract.suggestion.column_entries import flag_values, is_worded_flag
from lib.contract.suggestion.column_names import spelt_alike, words_of
from lib.contract.suggestion.column_profile import ColumnProfile
from lib.contract.suggestion.entry import Entry, Value
from lib.contract.suggestion.number_guess import number_keys
from lib.contract.suggestion.single_column import LEAK_AUC, implies, outcome_mask, single_auc
from lib.contract.suggestion.unit_guess import unit_of

_AFTERWARDS = frozenset(
    (
        *("after", "resolved", "resolution", "closed", "closing", "outcome", "result"),
        *("refund", "refunded", "chargeback", "dispute", "cancelled", "canceled"),
        *("cancellation", "remaining", "ttf", "newbalance", "predicted", "prediction"),
    )
)
_PEOPLE = frozenset(
    (
        *("name", "firstname", "lastname", "surname", "email", "mail", "phone", "mobile"),
        *("address", "street", "ssn", "passport", "birth", "dob", "birthday", "ip"),
    )
)
_CODES = frozenset(
    (
        *("id", "code", "zip", "postcode", "postal", "mcc", "no", "number", "type"),
        *("category", "class", "nr", "iata", "bin"),
    )
)
_UNREAD = ("empty", "bytes", "list", "other")
_MANY = 1_000
_FEW_CODES = 12
_FREE_WORDS = 4.0
_LONG_TEXT = 128


@dataclass
class Leftovers:
    """What becomes of columns that fill nothing.

    Attributes:
        sensors: lines of further columns, where the contract takes them.
        attributes: lines of the section `attributes`.
        left_out: reasons by source column.
        leaks: those of them that tell the outcome, by their values or their names.
    """

    sensors: list[Entry] = field(default_factory=list)
    attributes: list[Entry] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)


def sort_leftovers(
    choice: Choice, profiles: Sequence[ColumnProfile], usual: NumberFormat, read: set[str]
) -> Leftovers:
    """What becomes of the columns that fill nothing of the contract.

    Args:
        choice: what is filled.
        profiles: of all source columns.
        usual: how numbers are written in the file.
        read: source columns that other sections read.
    """
    names = spelt_alike([profile.name for profile in profiles])
    outcome = _outcome(choice, profiles, names)
    sorted_out, used_names = Leftovers(), {*choice.candidate.contract.names, *RESERVED_NAMES}
    for profile in profiles:
        if profile.name in choice.used or profile.name in read:
            continue
        leak = _tells_outcome(choice, profile, names[profile.name], outcome)
        if leak is not None:
            sorted_out.leaks.append(profile.name)
        reason = leak or _left_out(choice, profile)
        if reason is None and len(sorted_out.attributes) >= MOST_ATTRIBUTES:
            reason = f"more than {MOST_ATTRIBUTES} attributes"
        if reason is not None:
            sorted_out.left_out[profile.name] = reason
            continue
        name = _name_for(profile.name, used_names)
        used_names.add(name)
        if _is_sensor(choice, profile):
            sorted_out.sensors.append(_sensor(name, profile, usual))
        else:
            entry = _attribute(name, profile, usual)
            sorted_out.attributes.append(entry.doubting(*_maybe_label(choice, profile)))
    return sorted_out


@dataclass(frozen=True)
class _Outcome:
    """What is foreseen, where the file tells it."""

    name: str
    mask: npt.NDArray[np.bool_]


def _outcome(
    choice: Choice, profiles: Sequence[ColumnProfile], names: dict[str, tuple[str, ...]]
) -> _Outcome | None:
    flags = [m.profile for m in choice.matches.values() if m.column.type == pa.bool_()]
    flags += [profile for profile in profiles if profile.kind == "flag"]
    for profile in flags:
        if choice.candidate.is_outcome(names[profile.name]):
            mask = outcome_mask(profile)
            if mask is not None:
                return _Outcome(profile.name, mask)
    return None


def _tells_outcome(
    choice: Choice, profile: ColumnProfile, names: tuple[str, ...], outcome: _Outcome | None
) -> str | None:
    """How a column tells the outcome, or that it is known after it; None where it is not."""
    if profile.kind in _UNREAD:
        return None
    if choice.candidate.is_outcome(names):
        return "by its name it is a label, or follows from it: it would look into the future"
    other = outcome if outcome is not None and outcome.name != profile.name else None
    if _is_sensor(choice, profile):
        other = None
    leak = None if other is None else _leak(profile, other)
    return leak or _late(set(words_of(profile.name)))


def _left_out(choice: Choice, profile: ColumnProfile) -> str | None:
    """Why a column is no attribute otherwise; None where it may be."""
    if profile.kind in _UNREAD:
        empty = profile.kind == "empty"
        return "no value in the sample" if empty else "neither texts, numbers nor flags"
    if profile.time is not None and not (profile.kind == "number" and profile.time.is_counter):
        return "a time; attributes are categories, numbers and flags"
    return _unread(choice, profile) or (
        None if _is_sensor(choice, profile) else _no_signal(profile, set(words_of(profile.name)))
    )


def _unread(choice: Choice, profile: ColumnProfile) -> str | None:
    """Why nothing reads another column of a table; None where something does."""
    contract = choice.candidate.contract
    columns = contract.columns
    is_label = any(column.required and column.type == pa.bool_() for column in columns)
    if is_label and any(pat.is_timestamp(column.type) for column in columns):
        return "a label has no attributes; those of its subject stand in the mapping of that"
    if contract.takes_attributes or _is_sensor(choice, profile):
        return None
    return f"nothing reads attributes of the table '{contract.name}' yet"


def _maybe_label(choice: Choice, profile: ColumnProfile) -> list[str]:
    """That a column beside texts may be their label, which is often in the same file."""
    has_texts = any(column.multiline for column in choice.candidate.contract.columns)
    is_label = profile.kind == "flag" or (profile.kind == "text" and profile.distinct <= _FEW_CODES)
    if not has_texts or not is_label:
        return []
    return ["if people decided it of the text it is a label: leave it out here"]


def _is_sensor(choice: Choice, profile: ColumnProfile) -> bool:
    return choice.candidate.contract.extras is not None and profile.kind == "number"


def _leak(profile: ColumnProfile, outcome: _Outcome) -> str | None:
    """How a column tells the outcome; None where it does not."""
    if implies(profile, outcome.mask):
        return f"where it is true, {outcome.name} is, too: it follows from it, most likely"
    auc = single_auc(profile, outcome.mask)
    if auc < LEAK_AUC:
        return None
    return f"it alone tells {outcome.name} apart (AUC {auc:.3f}): a leak, most likely"


def _late(words: set[str]) -> str | None:
    late = words & _AFTERWARDS or ({"balance"} if {"new", "balance"} <= words else set())
    if not late:
        return None
    return f"by '{min(late)}' in its name it is known afterwards: it would look into the future"


def _no_signal(profile: ColumnProfile, words: set[str]) -> str | None:
    """Why a column teaches nothing, or should not."""
    if profile.distinct == 1 and profile.present == profile.rows and profile.rows > 1:
        return "the same value in every row of the sample"
    if (words & _PEOPLE or words in ({"first"}, {"last"})) and profile.kind == "text":
        return "it may name people"
    is_code = profile.kind == "text" or bool(
        words & {"id", "no", "nr", "number", "index", "unnamed"}
    )
    if profile.is_unique and profile.rows >= 20 and is_code:
        return "another value in each row: it names the row and describes nothing"
    if profile.kind == "text" and profile.longest > _LONG_TEXT:
        return "long texts"
    if profile.kind == "text" and profile.mean_words > _FREE_WORDS and profile.distinct > 50:
        return "free text"
    return None


def _name_for(name: str, used_names: set[str]) -> str:
    """A name that an attribute may have, not yet taken."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = "_".join(re.findall(r"[a-z0-9]+", snake))
    unit = unit_of(name)
    if unit and plain.endswith(f"_{unit.lower()}"):
        plain = plain.removesuffix(f"_{unit.lower()}")
    plain = plain if plain[:1].isalpha() else f"column_{plain}".rstrip("_")
    plain = plain[:60]
    candidates = [plain, f"source_{plain}"[:60], *(f"{plain[:56]}_{k}" for k in range(2, 1_000))]
    return next(text for text in candidates if text not in used_names)


def _sensor(name: str, profile: ColumnProfile, usual: NumberFormat) -> Entry:
    keys: dict[str, Value] = {"from": profile.name}
    unit = unit_of(profile.name)
    keys |= {"unit": unit} if unit else {}
    unsure: list[str] = []
    if profile.number is not None:
        keys |= number_keys(profile.number.form, usual)
        unsure += ["its marks may be decimal or group marks"] * profile.number.is_unsure
    evidence = f"a number that fills nothing else: {profile.shape}"
    return Entry(
        name, keys, evidence if unit else f"{evidence}; its unit is not told", tuple(unsure)
    )


def _attribute(name: str, profile: ColumnProfile, usual: NumberFormat) -> Entry:
    keys: dict[str, Value] = {"from": profile.name}
    words = set(words_of(profile.name))
    unsure: list[str] = []
    if profile.kind == "flag" or is_worded_flag(profile):
        values, doubts = flag_values(profile)
        return Entry(name, {**keys, "type": "flag", **values}, profile.shape, tuple(doubts))
    if profile.kind == "number" and not (profile.is_whole and words & _CODES):
        if profile.number is not None:
            keys |= number_keys(profile.number.form, usual)
            unsure += ["its marks may be decimal or group marks"] * profile.number.is_unsure
        if profile.is_whole and profile.distinct <= _FEW_CODES and profile.present > 50:
            unsure.append("few whole numbers: codes, perhaps; then 'type: category'")
        unit = unit_of(profile.name)
        keys |= {"type": "number"} | ({"unit": unit} if unit else {})
        return Entry(name, keys, profile.shape, tuple(unsure))
    if profile.distinct > _MANY or (profile.distinct * 2 > profile.present and profile.rows >= 20):
        unsure.append(
            f"{profile.distinct:,} different values in {profile.present:,} rows: an id, perhaps"
        )
    if profile.kind == "number":
        unsure.append("whole numbers that its name calls codes; else 'type: number'")
    if profile.longest > LONGEST_ID_BYTES:
        unsure.append(f"texts beyond {LONGEST_ID_BYTES} bytes are read as missing")
    return Entry(name, {**keys, "type": "category"}, profile.shape, tuple(unsure))
