"""The keys of a mapping file that say how times, amounts and physical units are written."""

import re
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract import mapping_keys
from lib.contract.column_rule import FORMS, ColumnRule
from lib.contract.declaration import Column, ContractError
from lib.contract.mapping_sections import read_number_format
from lib.contract.money import MOST_DIGITS, MOST_UNITS, Currencies, MoneyReading
from lib.contract.number_text import NumberFormat
from lib.contract.time_reading import (
    EPOCH_UNITS_US,
    TimeReading,
)
from lib.contract.unit import Linear, conversion
from lib.contract.yaml_section import Section
from lib.declaration import did_you_mean


def reading_keys(target: Column) -> tuple[str, ...]:
    """The keys that make sense for a column of that type, besides those every column takes."""
    optional = () if target.required else tuple(mapping_keys.OPTIONAL)
    return (*_keys_of_type(target), *optional)


def _keys_of_type(target: Column) -> tuple[str, ...]:
    if pat.is_timestamp(target.type):
        return tuple(mapping_keys.TIME)
    if target.is_money:
        return tuple(mapping_keys.MONEY)
    if target.type == pa.string():
        return tuple(mapping_keys.TEXT)
    unit = tuple(mapping_keys.UNIT) if target.unit else ()
    return (*unit, *mapping_keys.NUMBER) if pat.is_primitive(target.type) else unit


def with_reading(
    section: Section, rule: ColumnRule, currencies: Currencies | None, number: NumberFormat
) -> ColumnRule:
    """`rule` completed by what `section` says about times, numbers, amounts, texts or units.

    Args:
        section: of the column.
        rule: what is known of it so far.
        currencies: of the mapping.
        number: how numbers are written in these files.

    Raises:
        ContractError: an unknown zone, unit or duration; an amount whose unit is not declared.
    """
    if "unreadable" in section.entries:
        lenient = section.choice("unreadable", ("missing", "row")) == "missing"
        rule = replace(rule, target=replace(rule.target, lenient=lenient))
    if rule.target.type == pa.string():
        return replace(rule, normalize=section.choices("normalize", FORMS))
    number = read_number_format(section, number)
    rule = replace(rule, number=number)
    if pat.is_timestamp(rule.target.type):
        return replace(rule, time=_time(section, number))
    if rule.target.is_money:
        money = _money(section, currencies, number, constant=rule.constant is not None)
        return replace(rule, money=money, target=_bounded(section, rule.target, money))
    if pat.is_floating(rule.target.type) and section.text("unit"):
        return replace(rule, linear=_linear(section, rule.target))
    return rule


def _check_format(form: str) -> None:
    """Refuse a `strptime` format that can read nothing."""
    try:
        datetime.strptime("", form)
    except re.error as error:
        raise ValueError("the same directive stands there twice") from error
    except ValueError as error:
        if "does not match" not in str(error):
            raise
    if not re.search("%[YyGsDxc]", form):
        raise ValueError("it reads no year")


def duration_us(text: str) -> int:
    """Microseconds of a duration such as `7d`, `36h`, `15m`, `-30s`.

    >>> duration_us("7d") // 86_400_000_000
    7

    Raises:
        ValueError: not a whole number followed by s, m, h or d.
    """
    match = re.fullmatch(r"([+-]?\d{1,6})([smhd])", text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a duration; write it as 7d, 36h, 15m or 30s")
    seconds = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[match[2]]
    return int(match[1]) * seconds * 1_000_000


def _bounded(section: Section, target: Column, money: MoneyReading) -> Column:
    """The column with the largest amount that the mapping allows, in minor units."""
    largest = section.integer("largest", 1, MOST_UNITS)
    if largest is None:
        return target
    if money.settlement_digits is None:
        section.fail("is in units of the currency; say its 'currency_digits', too", "largest")
    return replace(target, high=largest * 10**money.settlement_digits)


def _time(section: Section, number: NumberFormat) -> TimeReading:
    zone, plus = section.text("timezone"), section.text("plus", "0s")
    try:
        if zone is not None:
            ZoneInfo(zone)
            # Arrow reads a database of its own
            pc.assume_timezone(pa.array([0], pa.timestamp("us")), zone)
    except (ValueError, KeyError, OSError):
        section.fail(f"'{zone}' is no IANA time zone; {_zone_hint(zone or '')}", "timezone")
    try:
        moved = duration_us(plus or "0s")
    except ValueError as error:
        section.fail(str(error), "plus")
    unit, form = section.choice("unit", tuple(EPOCH_UNITS_US)), section.text("format")
    if unit is not None and form is not None:
        section.fail("give either 'unit' (numbers) or 'format' (text)", "format")
    try:
        if form is not None:
            _check_format(form)
    except ValueError as error:
        section.fail(f"'{form}' is no format of dates: {error}", "format")
    return TimeReading(timezone=zone, epoch_unit=unit, format=form, plus_us=moved, number=number)


def _zone_hint(zone: str) -> str:
    hint = did_you_mean(zone, sorted(available_timezones()))
    return hint if hint.startswith("did") else "write it as Europe/Berlin or UTC"


def _money(
    section: Section, currencies: Currencies | None, number: NumberFormat, constant: bool
) -> MoneyReading:
    unit = section.choice("unit", ("major", "minor"))
    if unit is None:
        section.fail("an amount needs 'unit: major' (12.34) or 'unit: minor' (1234)")
    source = section.text("currency_from")
    if source is not None and (currencies is None or constant):
        section.fail("needs the section 'currencies' and an amount that is read", "currency_from")
    digits = section.integer("currency_digits", 0, MOST_DIGITS)
    if unit == "major" and (digits is None) == (source is None):
        section.fail(
            "an amount in major units needs 'currency_digits' (2 for USD, 0 for JPY), "
            "or 'currency_from' where each row has its own currency; one of the two"
        )
    if unit == "minor" and source is not None and digits is not None:
        section.fail("each row's currency has its own; remove it", "currency_digits")
    times = section.text("times")
    if times is not None and constant:
        section.fail("needs an amount that is read", "times")
    settlement = digits
    if source is not None and currencies is not None:
        settlement = currencies.known[currencies.settlement].digits
    return MoneyReading(0 if unit == "minor" else digits, source, times, number, settlement)


def _linear(section: Section, target: Column) -> Linear | None:
    try:
        return conversion(section.required_text("unit"), target.unit)
    except ContractError as error:
        section.fail(str(error), "unit")
