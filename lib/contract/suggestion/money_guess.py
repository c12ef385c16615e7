"""How amounts of money are written: unit, decimals of the currency, largest one; never silently."""

from collections.abc import Sequence

from lib.contract.money import MINOR_DIGITS, MOST_UNITS
from lib.contract.number_text import NumberFormat
from lib.contract.suggestion.column_choice import Choice, Match
from lib.contract.suggestion.column_names import words_of
from lib.contract.suggestion.column_profile import ColumnProfile
from lib.contract.suggestion.entry import Value
from lib.contract.suggestion.number_guess import number_keys

_MINOR_WORDS = frozenset(("cents", "cent", "minor", "pence", "kopecks"))
_CURRENCY_SIGNS = {"€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "$": "USD"}
_MOST_DIGITS = 4


def money_keys(
    match: Match, choice: Choice, usual: NumberFormat, profiles: Sequence[ColumnProfile]
) -> tuple[dict[str, Value], list[str]]:
    """The keys of an amount, and what is not sure about it: nearly everything.

    Args:
        match: of the amount.
        choice: that it belongs to, with the currency where there is one.
        usual: how numbers are written in the file.
        profiles: of all source columns.
    """
    profile, column = match.profile, match.column
    keys: dict[str, Value] = {}
    doubts: list[str] = []
    decimals, digits = _written_decimals(profile), currency_digits(choice, profile)
    if _MINOR_WORDS & set(words_of(profile.name)) and profile.is_whole:
        keys["unit"] = "minor"
        doubts.append("its name says minor units (1234 is 12.34)")
    else:
        most = min(max(decimals, digits), _MOST_DIGITS) if decimals > digits else digits
        keys |= {"unit": "major", "currency_digits": most}
        doubts.append(_about_digits(decimals, digits, most))
    scale = 10 ** (int(str(keys.get("currency_digits", 0))))
    if profile.high is not None and column.high is not None and profile.high * scale > column.high:
        if keys["unit"] == "major":
            keys["largest"] = min(10 ** (len(str(int(profile.high))) + 1), MOST_UNITS)
        doubts.append(f"amounts of up to {profile.high:g} are larger than usual")
    if profile.low is not None and column.low is not None and profile.low < column.low:
        doubts.append(f"amounts below {column.low:g} are set aside")
    if profile.number is not None:
        keys |= number_keys(profile.number.form, usual)
        doubts += ["its marks may be decimal or group marks"] * profile.number.is_unsure
    keys, doubts = _per_piece(profile, profiles, keys, doubts)
    codes = _currency_codes(choice)
    if len(codes) > 1:
        doubts.append(
            f"amounts are in {len(codes)} currencies ({', '.join(codes[:4])}); convert them by "
            "'currency_from' and the section 'currencies'"
        )
    return keys, doubts


def _written_decimals(profile: ColumnProfile) -> int:
    if profile.number is None:
        return profile.decimals
    mark = profile.number.form.decimal_mark
    ends = [text.rpartition(mark)[2] for text in profile.different if mark in text]
    written = max((len(end) for end in ends if end.isdigit()), default=0)
    return profile.decimals or min(written, 2)


def _about_digits(decimals: int, digits: int, most: int) -> str:
    if decimals == 0:
        return (
            f"whole numbers: read as units of a currency with {most} decimals; where they are "
            "minor units (1234 is 12.34) write 'unit: minor'"
        )
    if decimals > digits:
        return f"numbers with {decimals} decimals, more than the {digits} of the currency"
    return f"the currency is taken to have {digits} decimals (2 for EUR, 0 for JPY, 3 for KWD)"


def _per_piece(
    profile: ColumnProfile,
    profiles: Sequence[ColumnProfile],
    keys: dict[str, Value],
    doubts: list[str],
) -> tuple[dict[str, Value], list[str]]:
    """A price of a piece times the quantity of its row."""
    counts = [
        p for p in profiles if words_of(p.name)[-1:] in (("quantity",), ("qty",)) and p.is_whole
    ]
    if not counts or "price" not in words_of(profile.name):
        return keys, doubts
    doubt = f"taken for the price of a piece, times {counts[0].name}"
    return {**keys, "times": counts[0].name}, [*doubts, doubt]


def _currency_codes(choice: Choice) -> list[str]:
    match = choice.matches.get("currency")
    return [] if match is None else list(match.profile.different)


def currency_digits(choice: Choice, profile: ColumnProfile) -> int:
    """Decimals of the currency that the data name; 2 where they name none."""
    codes = [*_currency_codes(choice), *_signed_currencies(profile), *_named_currencies(profile)]
    return MINOR_DIGITS.get(codes[0], 2) if codes else 2


def _signed_currencies(profile: ColumnProfile) -> list[str]:
    signs = () if profile.number is None else profile.number.form.signs
    return [_CURRENCY_SIGNS.get(sign, sign) for sign in signs]


def _named_currencies(profile: ColumnProfile) -> list[str]:
    return [word.upper() for word in words_of(profile.name) if word.upper() in MINOR_DIGITS]


def currencies_of(profile: ColumnProfile) -> list[str]:
    """Codes of the currencies that the name or the signs of an amount tell."""
    codes = [*_named_currencies(profile), *_signed_currencies(profile)]
    return [code for code in codes if code in MINOR_DIGITS]
