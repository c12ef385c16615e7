"""The keys of a mapping file that say how times, amounts and physical units are written."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.types as pat

from lib.contract.column_rule import ColumnRule, MoneyReading
from lib.contract.declaration import Column
from lib.contract.error import ContractError
from lib.contract.money import MOST_DIGITS, Currencies
from lib.contract.time_reading import EPOCH_UNITS_US, TimeReading, check_timezone, duration_us
from lib.contract.unit import Linear, conversion
from lib.contract.yaml_section import Section

_TIME = ("timezone", "unit", "format", "plus")
_MONEY = ("unit", "currency_digits", "decimal_mark", "currency_from", "times")


def reading_keys(target: Column) -> tuple[str, ...]:
    """The keys that make sense for a column of that type, besides those every column takes."""
    if pat.is_timestamp(target.type):
        return _TIME
    if target.is_money:
        return _MONEY
    if target.type == pa.string():
        return ("join",)
    return ("unit",) if target.unit else ()


def with_reading(section: Section, rule: ColumnRule, currencies: Currencies | None) -> ColumnRule:
    """`rule` completed by what `section` says about times, amounts or units.

    Raises:
        ContractError: an unknown zone, unit or duration; an amount whose unit is not declared.
    """
    if pat.is_timestamp(rule.target.type):
        return replace(rule, time=_time(section))
    if rule.target.is_money:
        return replace(rule, money=_money(section, currencies, constant=rule.constant is not None))
    if pat.is_floating(rule.target.type) and section.text("unit"):
        return replace(rule, linear=_linear(section, rule.target))
    return rule


def _time(section: Section) -> TimeReading:
    zone, plus = section.text("timezone"), section.text("plus", "0s")
    try:
        if zone is not None:
            check_timezone(zone)
    except (ValueError, KeyError, OSError):
        section.fail(f"'{zone}' is no IANA time zone; write it as Europe/Berlin or UTC", "timezone")
    try:
        moved = duration_us(plus or "0s")
    except ValueError as error:
        section.fail(str(error), "plus")
    return TimeReading(
        timezone=zone,
        epoch_unit=section.choice("unit", tuple(EPOCH_UNITS_US)),
        format=section.text("format"),
        plus_us=moved,
    )


def _money(section: Section, currencies: Currencies | None, constant: bool) -> MoneyReading:
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
    if unit == "minor" and digits is not None:
        section.fail("minor units are whole numbers; remove it", "currency_digits")
    mark = section.choice("decimal_mark", (".", ","), ".") or "."
    times = section.text("times")
    if times is not None and constant:
        section.fail("needs an amount that is read", "times")
    return MoneyReading(0 if unit == "minor" else digits, mark, source, times)


def _linear(section: Section, target: Column) -> Linear | None:
    try:
        return conversion(section.required_text("unit"), target.unit)
    except ContractError as error:
        section.fail(str(error), "unit")
