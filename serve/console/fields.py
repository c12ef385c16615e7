"""Fields of forms and addresses, read or refused in words."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from lib.console.decision_search import Bounds, Key
from lib.records.partitions import DAY, start_of
from serve.console.session import Visit
from serve.framework.problem import Problem

LONGEST_NOTE, LONGEST_REASON, LONGEST_ID = 4_000, 2_000, 512
"""Characters of a note, a reason and an id at most."""
_EFFECT = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_MOST_DIGITS = 18


def read_query(visit: Visit, names: Iterable[str], longest: int = LONGEST_ID) -> dict[str, str]:
    """Fields of an address, "" for those that it lacks; no longer than `longest` characters."""
    query = visit.request.query_params
    return {name: query.get(name, "").strip()[:longest] for name in names}


def set_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that are set, as the address of the same search has them."""
    return {name: value for name, value in fields.items() if value}


def read_page(visit: Visit, most: int) -> int:
    """The number of a page, from 1 on; 1 where the address has none.

    Raises:
        Problem: 422.
    """
    text = visit.request.query_params.get("number") or "1"
    if not text.isdecimal() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
        raise Problem(422, "number", f"Pages are numbered from 1 to {most}.")
    return int(text)


def read_day(text: str) -> date:
    """A day of an address.

    Raises:
        Problem: 422.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Problem(422, "day", "A day is written as 2026-11-28.") from None
    if not date(1990, 1, 1) <= day <= date(2100, 1, 1) - timedelta(days=1):
        raise Problem(422, "day", "A day lies between 1990 and 2099.")
    return day


def read_form_day(visit: Visit, name: str) -> date:
    """A day of a form.

    Raises:
        Problem: 422.
    """
    try:
        return read_day(visit.form.get(name, ""))
    except Problem as problem:
        raise Problem(422, problem.kind, f"{problem.detail} Nothing was changed.") from None


def read_decimal(name: str, text: str) -> Decimal | None:
    """A number of 0 or more; None for an empty text.

    Raises:
        Problem: 422.
    """
    if not text:
        return None
    try:
        return Decimal(text) if _NUMBER.fullmatch(text) else _refuse_number(name)
    except InvalidOperation:
        return _refuse_number(name)


def read_bounds(fields: Mapping[str, str], name: str, unit: int = 1) -> Bounds:
    """The fields `NAME_from` and `NAME_to`, in units.

    Raises:
        Problem: 422.
    """
    low, high = (read_decimal(key, fields[key]) for key in (f"{name}_from", f"{name}_to"))
    return Bounds(
        None if low is None else float(low * unit), None if high is None else float(high * unit)
    )


def read_span(fields: Mapping[str, str]) -> dict[str, int]:
    """Times from the day `since` to the day `until`, as far as they are set.

    Raises:
        Problem: 422.
    """
    span = {}
    if fields["since"]:
        span["since"] = start_of(read_day(fields["since"]))
    if fields["until"]:
        span["until"] = start_of(read_day(fields["until"])) + DAY
    return span


def read_key(visit: Visit) -> Key | None:
    """Where a part of a search begins: a time and an id; None for its beginning.

    Raises:
        Problem: 422.
    """
    text = visit.request.query_params.get("before", "")
    if not text:
        return None
    time, mark, subject_id = text.partition("~")
    if not (mark and time.isascii() and time.isdecimal() and len(time) <= _MOST_DIGITS):
        raise Problem(422, "before", "This address is incomplete. Search again.")
    return int(time), subject_id


def read_whole(visit: Visit, name: str) -> int:
    """A whole number of a form.

    Raises:
        Problem: 422.
    """
    text = visit.form.get(name, "")
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        raise Problem(422, name, "This form is incomplete. Load the page again.")
    return int(text)


def read_note(visit: Visit) -> str | None:
    """The note of a form; None for an empty one.

    Raises:
        Problem: 422 for a long one, or one with control characters.
    """
    note = visit.form.get("note", "")
    if len(note) > LONGEST_NOTE or "\0" in note:
        raise Problem(422, "note", f"A note has {LONGEST_NOTE:,} characters at most.")
    return note or None


def read_reason(visit: Visit) -> str | None:
    """The reason of a form; None for an empty one.

    Raises:
        Problem: 422 for a long one, or one with control characters.
    """
    reason = visit.form.get("reason", "")
    if len(reason) > LONGEST_REASON or "\0" in reason:
        text = f"A reason has {LONGEST_REASON:,} characters at most, and no control characters."
        raise Problem(422, "reason", f"{text} Nothing was changed.")
    return reason or None


def require_reason(visit: Visit) -> str:
    """The reason of a form that needs one.

    Raises:
        Problem: 422 also where there is none.
    """
    reason = read_reason(visit)
    if reason is None:
        raise Problem(422, "reason", "Say why, in a few words. Nothing was changed.")
    return reason


def new_effect() -> str:
    """A name for what a form does, so that it is done once."""
    return secrets.token_hex(16)


def read_effect(visit: Visit) -> str:
    """The name that `new_effect` gave a form.

    Raises:
        Problem: 422.
    """
    return require_effect(visit.form.get("effect", ""))


def require_effect(text: str) -> str:
    """The same of an address.

    Raises:
        Problem: 422.
    """
    if not _EFFECT.fullmatch(text):
        raise Problem(422, "effect", "This form is incomplete. Load the page again.")
    return text


def _refuse_number(name: str) -> Decimal:
    raise Problem(422, name, f"A number is expected as {name.replace('_', ' ')}, such as 12.50.")
