"""The sections of a mapping file beside its columns: conditions, files, currencies."""

from lib.contract.condition import BOUNDS, Condition
from lib.contract.mapping import FileFormat
from lib.contract.money import MILLION, MOST_DIGITS, Currencies, Currency
from lib.contract.yaml_section import Section


def read_conditions(section: Section | None) -> tuple[Condition, ...]:
    """`COLUMN: [1, 2]` or `COLUMN: {in, not_in, present, above, at_least, below, at_most}`."""
    if section is None:
        return ()
    return tuple(_condition(section, column) for column in section.entries)


def _condition(section: Section, column: str) -> Condition:
    entry = section.entries[column]
    if not isinstance(entry, Section):
        return Condition(column, one_of=section.texts(column))
    entry.only(("in", "not_in", "present", *BOUNDS))
    present = entry.choice("present", ("true", "false"))
    bounds = [(kind, read_number(entry, kind)) for kind in BOUNDS if kind in entry.entries]
    return Condition(
        column,
        one_of=entry.texts("in"),
        none_of=entry.texts("not_in"),
        present=None if present is None else present == "true",
        bounds=tuple((kind, bound) for kind, bound in bounds if bound is not None),
    )


def read_number(section: Section, key: str) -> float | None:
    """The number under `key`, None where the key is absent."""
    text = section.text(key)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        section.fail(f"expected a number, came '{text}'", key)


def read_file_format(section: Section | None) -> FileFormat:
    """`format: csv`, `delimiter: ";"`, `encoding: latin1`, `missing: [NA]`."""
    if section is None:
        return FileFormat()
    section.only(("format", "delimiter", "encoding", "missing"))
    delimiter = section.text("delimiter", ",") or ","
    if len(delimiter) != 1:
        section.fail("expected one character", "delimiter")
    return FileFormat(
        kind=section.choice("format", ("parquet", "csv")),
        delimiter=delimiter,
        encoding=section.text("encoding", "utf-8") or "utf-8",
        missing=("", *section.texts("missing")),
    )


def read_currencies(section: Section | None) -> Currencies | None:
    """`settlement: USD`, `digits: 2`, `rates: {EUR: {digits: 2, per_million: 1085000}}`."""
    if section is None:
        return None
    section.only(("settlement", "digits", "rates"))
    code = section.required_text("settlement")
    known = {code: Currency(section.integer("digits", 0, MOST_DIGITS, 2) or 0)}
    rates = section.section("rates")
    for name in rates.entries if rates else ():
        rate = rates.section(name) if rates else None
        if rate is None or name == code:
            section.fail(f"expected {{digits: 2, per_million: ...}} for '{name}'", "rates")
        rate.only(("digits", "per_million"))
        rate.required_text("per_million")
        worth = rate.integer("per_million", 1, 10**12) or MILLION
        known[name] = Currency(rate.integer("digits", 0, MOST_DIGITS, 2) or 0, worth)
    return Currencies(code, known)
