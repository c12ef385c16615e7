"""The sections of a mapping file beside its columns: conditions, files, shapes, currencies."""

import math
from collections.abc import Iterable

from lib.contract import mapping_keys
from lib.contract.condition import BOUNDS, Condition
from lib.contract.csv_text import is_text_encoding
from lib.contract.file_format import FileFormat
from lib.contract.money import MILLION, MINOR_DIGITS, MOST_DIGITS, Currencies, Currency
from lib.contract.number_text import (
    DECIMAL_MARKS,
    NEGATIVES,
    PLAIN,
    THOUSANDS,
    NumberFormat,
)
from lib.contract.origin import FILE_PARTS
from lib.contract.reshape import Pivot, Unpivot
from lib.contract.yaml_section import Section

_MOST_SKIPPED = 10_000


def read_conditions(section: Section | None, number: NumberFormat) -> tuple[Condition, ...]:
    """`COLUMN: [1, 2]` or `COLUMN: {in, not_in, present, above, at_least, below, at_most}`.

    Args:
        section: of the mapping file.
        number: how numbers are written in these files.
    """
    if section is None:
        return ()
    return tuple(_condition(section, column, number) for column in section.entries)


def _condition(section: Section, column: str, number: NumberFormat) -> Condition:
    entry = section.entries[column]
    if not isinstance(entry, Section):
        if not section.texts(column):
            section.fail("expected one value or more, got an empty list", column)
        return Condition(column, one_of=section.texts(column))
    entry.only(mapping_keys.CONDITION)
    bounds = [(kind, read_number(entry, kind)) for kind in BOUNDS if kind in entry.entries]
    return Condition(
        column,
        one_of=entry.texts("in"),
        none_of=entry.texts("not_in"),
        present=entry.flag("present"),
        bounds=tuple((kind, bound) for kind, bound in bounds if bound is not None),
        number=number,
    )


def read_number(section: Section, key: str) -> float | None:
    """The number under `key`, None where the key is absent."""
    text = section.text(key)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        section.fail(f"expected a number, came '{text}'", key)
    return number


def read_file_format(section: Section | None) -> FileFormat:
    """`format: csv`, `delimiter: ";"`, `encoding: latin1`, `missing: [NA]`, `header: false` ..."""
    if section is None:
        return FileFormat()
    section.only(mapping_keys.FILE)
    encoding = section.text("encoding", "utf-8") or "utf-8"
    if not is_text_encoding(encoding):
        section.fail(f"unknown encoding '{encoding}'; write utf-8, utf-16, cp1252 ...", "encoding")
    columns = section.texts("columns")
    if len(set(columns)) < len(columns):
        section.fail("expected each name once", "columns")
    form = FileFormat(
        kind=section.choice("format", ("parquet", "csv")),
        delimiter=_character(section, "delimiter"),
        encoding=encoding,
        missing=("", *section.texts("missing")),
        number=read_number_format(section, PLAIN),
        skip_lines=section.integer("skip_lines", 0, _MOST_SKIPPED, 0) or 0,
        header=section.flag("header", not columns) is True,
        columns=columns,
        quote="" if section.text("quote") == "none" else _character(section, "quote") or '"',
        escape=_character(section, "escape") or "",
        multiline=section.flag("multiline"),
    )
    marks = [mark for mark in (form.delimiter or ",", form.quote, form.escape) if mark]
    if len(set(marks)) < len(marks):
        section.fail("expected three different characters for delimiter, quote and escape")
    return form


def read_number_format(section: Section, default: NumberFormat) -> NumberFormat:
    """`decimal_mark: ","`, `thousands: "."`, `sign: ["%"]`, `negative: parentheses`.

    A section that says its own decimal mark takes no thousands separator from `default`.
    """
    mark = section.choice("decimal_mark", DECIMAL_MARKS)
    thousands = section.choice("thousands", THOUSANDS, None if mark else default.thousands)
    mark = mark or default.decimal_mark
    if thousands == mark:
        section.fail(f"'{mark}' is the decimal mark already; declare both", "thousands")
    return NumberFormat(
        mark,
        thousands,
        (*section.texts("currency_sign"), *section.texts("sign")) or default.signs,
        section.choice("negative", NEGATIVES, default.negative),
    )


def _character(section: Section, key: str) -> str | None:
    text = section.text(key)
    text = {"tab": "\t", "\\t": "\t", "space": " "}.get(text or "", text)
    if text is not None and (len(text) != 1 or not text.isascii() or text in "\r\n\0"):
        section.fail("expected one character of ASCII, or tab", key)
    return text


def read_file_parts(section: Section) -> tuple[str, ...]:
    """`from_file: stem` or `from_file: [stem, row_number]`."""
    return section.choices("from_file", FILE_PARTS)


def read_reshape(top: Section, needed: Iterable[str]) -> Pivot | Unpivot | None:
    """`pivot: {index: [a, b], tag: t, value: v}` or `unpivot: {columns: [x, y], label, value}`.

    Args:
        top: of the mapping file.
        needed: columns that the mapping's rules read.

    Raises:
        ContractError: both are given, or a rule reads a column that is not there afterwards.
    """
    pivot, unpivot = top.section("pivot"), top.section("unpivot")
    if pivot is not None and unpivot is not None:
        top.fail("give either 'pivot' (long to wide) or 'unpivot' (wide to long)", "unpivot")
    if pivot is not None:
        return _pivot(pivot, tuple(needed))
    return None if unpivot is None else _unpivot(unpivot, tuple(needed))


def _pivot(section: Section, needed: tuple[str, ...]) -> Pivot:
    section.only(mapping_keys.PIVOT)
    shape = Pivot(
        section.texts("index"), section.required_text("tag"), section.required_text("value")
    )
    if not shape.index:
        section.fail("needs 'index': the columns that name a row of the wide table")
    for name in (shape.tag, shape.value):
        if name in needed or name in shape.index:
            section.fail(
                f"'{name}' is not a column of the wide table; read the columns of 'index' and "
                "the tags, as temperature: {from: TAG}"
            )
    if not shape.tags(needed):
        section.fail("no column is read from a tag; write temperature: {from: TAG}")
    return shape


def _unpivot(section: Section, needed: tuple[str, ...]) -> Unpivot:
    section.only(mapping_keys.UNPIVOT)
    shape = Unpivot(
        section.texts("columns"), section.required_text("label"), section.required_text("value")
    )
    if not shape.columns or len(set(shape.columns)) < len(shape.columns):
        section.fail("expected the columns that become rows, each once", "columns")
    if shape.label == shape.value:
        section.fail("expected two different names for 'label' and 'value'", "value")
    if shape.label not in needed:
        section.fail(f"no column is read from '{shape.label}'; write COLUMN: {{from: LABEL}}")
    return shape


def read_currencies(section: Section | None) -> Currencies | None:
    """`settlement: USD`, `rates: {EUR: {per_million: 1085000}}`; `digits` where not ISO 4217's."""
    if section is None:
        return None
    section.only(mapping_keys.CURRENCIES)
    code = section.required_text("settlement")
    currencies = {code: Currency(_digits(section, code))}
    rates = section.section("rates")
    for name in rates.entries if rates else ():
        rate = rates.section(name) if rates else None
        if rate is None or name == code:
            section.fail(f"expected {{per_million: ...}} for '{name}'", "rates")
        rate.only(mapping_keys.RATE)
        rate.required_text("per_million")
        worth = rate.integer("per_million", 1, 10**12) or MILLION
        currencies[name] = Currency(_digits(rate, name), worth)
    return Currencies(code, currencies)


def _digits(section: Section, code: str) -> int:
    """Decimal digits of a currency: as declared, else by ISO 4217."""
    digits = section.integer("digits", 0, MOST_DIGITS, MINOR_DIGITS.get(code))
    if digits is None:
        section.fail(f"'{code}' is no currency of ISO 4217; say its 'digits' (2 for EUR)")
    return digits
