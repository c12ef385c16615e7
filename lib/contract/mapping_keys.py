"""The keys of a mapping file: what each means, with an example. No reader takes another key.

The reference in `README.md` is made of these by `python -m cluster.references`, and a test parses
every example.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping file.

    Args:
        meaning: of what stands under it.
        example: lines of a mapping file with it: of the top, or of `columns`.
    """

    meaning: str
    example: str


Keys: TypeAlias = Mapping[str, Key]


def _keys(**keys: tuple[str, str]) -> Keys:
    """Keys by name; a name of Python has `_` behind it."""
    return MappingProxyType({name.rstrip("_"): Key(*entry) for name, entry in keys.items()})


TOP = _keys(
    contract=(
        "name of the contract that it fills: `transactions`, `labels`, `telemetry`, `customers`, "
        "`posts` ...",
        "contract: examples",
    ),
    note=("text for people", "note: payments of the web shop, in euros"),
    file=("how the files are written", 'file: {delimiter: ";", missing: [NA]}'),
    where=(
        "conditions on source rows; others are left out and counted as such",
        "where: {status: [settled]}",
    ),
    pivot=(
        "a long table into a wide one: each row holds one value and a tag that names it",
        "pivot: {index: [id, ts, amt], tag: name, value: reading}",
    ),
    unpivot=(
        "a wide table into a long one: one row for each of some columns",
        "unpivot: {columns: [x, y], label: kind, value: reading}",
    ),
    currencies=(
        "rates into the settlement currency",
        "currencies: {settlement: USD, rates: {JPY: {per_million: 6700}}}",
    ),
    columns=("one entry for each column of the contract", "columns: {example_id: {from: id}}"),
    attributes=(
        "typed columns of `transactions`, `customers`, `machines`, `posts` or `rows` beside the "
        "contract's",
        "attributes: {channel: {from: channel, type: category}}",
    ),
    aggregate=(
        "several rows of a thing into one row",
        "aggregate: {by: [example_id], distinct: line, sum: [amount_minor], latest: [event_time]}",
    ),
)
"""Of the file itself."""

FILE = _keys(
    format=("`csv` or `parquet`, where the ending does not say it", "file: {format: csv}"),
    delimiter=(
        "one character, `tab` or `space`; default: a tab in `.tsv` files, else a comma",
        'file: {delimiter: ";"}',
    ),
    encoding=(
        "of a CSV file, `utf-8` by default; a byte order mark of UTF-16 is followed by itself",
        "file: {encoding: cp1252}",
    ),
    missing=(
        'texts that mean "no value" in every column, besides the empty one',
        "file: {missing: [NA, NULL]}",
    ),
    decimal_mark=('`.` (default) or `,`; see "Numbers and money"', 'file: {decimal_mark: ","}'),
    thousands=(
        'what stands between groups of three digits; see "Numbers and money"',
        'file: {decimal_mark: ",", thousands: "."}',
    ),
    skip_lines=(
        "lines above the header (or above the first row) that are passed over: titles, comments, "
        "`sep=;`",
        "file: {skip_lines: 2}",
    ),
    header=(
        "`false`: the first line is a row; columns are named `1`, `2`, `3` ...",
        "file: {header: false}",
    ),
    columns=(
        "names of all columns, in order, instead of a header; with `header: true` the first line "
        "is passed over",
        "file: {columns: [id, ts, amt], header: true}",
    ),
    quote=(
        'character around values, `"` by default; `none` where quotes mean nothing',
        "file: {quote: none}",
    ),
    escape=(
        'character before a quote in a value, as `"\\\\"`; by default quotes are doubled; a field '
        "that is `\\N` is then null",
        'file: {escape: "\\\\"}',
    ),
    multiline=(
        "`true`: quoted values may hold line ends; `false`: none may",
        "file: {multiline: true}",
    ),
)
"""Of the section `file`."""

COLUMN = _keys(
    from_=(
        "source column; several are joined as text with `join`. In place of the entry where "
        "nothing else is to be told: `user_id: cust`",
        "plan: {from: tariff}",
    ),
    from_file=(
        "of the file: `name`, `stem` (without endings), `folder` (the one it lies in), "
        "`row_number`; several are joined, before those of `from`",
        "example_id: {from_file: [stem, row_number]}",
    ),
    value=("a constant", "plan: {value: basic}"),
    missing=(
        'source texts that mean "no value" in this column',
        'plan: {from: tariff, missing: ["-"]}',
    ),
    values=(
        "source text to text; what is not listed is a fault, or `otherwise`",
        "is_open: {from: state, values: {ja: true, nein: false}}",
    ),
    otherwise=(
        "text for what `values` or `lookup` does not list",
        "plan: {from: tariff, values: {B: basic}, otherwise: other}",
    ),
    lookup=(
        "the same as `values`, by a table beside the data",
        "plan: {from: id, lookup: {file: plans.csv, key: id, value: plan}}",
    ),
    when=(
        "conditions under which the column has a value at all",
        "closed_at: {from: changed, timezone: UTC, when: {state: [closed]}}",
    ),
    note=("text for people", "plan: {from: tariff, note: as sold since 2024}"),
)
"""Of an entry of `columns` or `attributes`."""

TIME = _keys(
    timezone=(
        "IANA zone of times that carry none (`UTC`, `Europe/Berlin`); never guessed; times that "
        "carry one keep it",
        "event_time: {from: ts, timezone: Europe/Berlin}",
    ),
    unit=(
        "what numbers count from 1970 UTC: `d`, `h`, `s`, `ms`, `us`, `ns`; in text and decimals "
        "as well (`1709251200.25`)",
        "event_time: {from: ts, unit: ms}",
    ),
    format=(
        "`strptime` format of other texts; `%z` reads `+05` and `GMT`, too",
        'event_time: {from: ts, format: "%d.%m.%Y %H:%M", timezone: UTC}',
    ),
    plus=(
        "moves every time: `7d`, `36h`, `-30s`",
        "event_time: {from: ts, timezone: UTC, plus: 7d}",
    ),
    join=(
        "between several columns; a space by default, so `from: [date, time]` is ISO 8601",
        'event_time: {from: [Year, Month, Day], join: "-", format: "%Y-%m-%d", timezone: UTC}',
    ),
    decimal_mark=(
        "of numbers counted from 1970, as text: `.` (default) or `,`",
        'event_time: {from: ts, unit: s, decimal_mark: ","}',
    ),
    thousands=(
        "what stands between their groups of digits",
        'event_time: {from: ts, unit: s, thousands: ","}',
    ),
)

NUMBER = _keys(
    decimal_mark=("`.` (default) or `,`", 'weight: {from: kg, decimal_mark: ","}'),
    thousands=(
        "`,`, `.`, space, `'` or `_` between groups of three (or as in India); without it such a "
        'text is a fault: `1.500` beside `decimal_mark: ","` is never 1.5',
        'weight: {from: kg, decimal_mark: ",", thousands: "."}',
    ),
    sign=(
        'texts beside the digits that mean nothing more: `["$", EUR]`, `["%"]`',
        'weight: {from: kg, sign: ["%"]}',
    ),
    negative=(
        "`parentheses`: `(3.00)`; `trailing`: `3.00-`",
        "weight: {from: kg, negative: parentheses}",
    ),
)

MONEY: Keys = MappingProxyType(
    {
        **_keys(
            unit=(
                "`major` (12.34) or `minor` (1234)",
                "amount_minor: {from: cents, unit: minor}",
            ),
            currency_digits=(
                "decimals of the currency that amounts are kept in: 2 for EUR, 0 for JPY, 3 for "
                "KWD",
                "amount_minor: {from: amt, unit: major, currency_digits: 2}",
            ),
        ),
        **NUMBER,
        **_keys(
            currency_sign=(
                "as `sign`",
                'amount_minor: {from: amt, unit: major, currency_digits: 2, currency_sign: ["$"]}',
            ),
            currency_from=(
                "column with each row's currency; needs `currencies`",
                "currencies: {settlement: USD, rates: {JPY: {per_million: 6700}}}\n"
                "columns: {amount_minor: {from: amt, unit: major, currency_from: ccy}}",
            ),
            times=(
                "column of whole numbers that each amount is multiplied by, such as the quantity "
                "of a unit price",
                "amount_minor: {from: price, unit: major, currency_digits: 2, times: quantity}",
            ),
            largest=(
                "largest amount, in units of the currency; 10^8 minor units by default",
                "amount_minor: {from: amt, unit: major, currency_digits: 2, largest: 100000000}",
            ),
        ),
    }
)

TEXT = _keys(
    join=("between several columns; `-` by default", 'plan: {from: [tariff, term], join: "/"}'),
    normalize=(
        "forms that texts are brought to: `nfc`, `strip`, `casefold`, `whole` (`1001.0` is "
        "`1001`), `as_written`",
        "plan: {from: tariff, normalize: [nfc, strip, casefold]}",
    ),
)

UNIT = _keys(
    unit=(
        'unit of the source, converted into the contract\'s; see "Units"',
        "weight: {from: w, unit: lb}",
    ),
)

OPTIONAL = _keys(
    unreadable=(
        "`missing`: what cannot be read is missing, and its row stays; `row`: its row is set aside",
        "weight: {from: kg, unreadable: missing}",
    ),
)

EXTRA = _keys(
    unit=(
        "unit of its values, as the kind of machine has it or convertible",
        "heat: {from: T, unit: degF}",
    ),
    low=(
        "smallest plausible value, in `unit`; below it a value is missing",
        "heat: {from: T, low: -40}",
    ),
    high=("largest plausible value", "heat: {from: T, low: -40, high: 300}"),
)
"""Of a column that the contract does not name, such as a sensor."""

ATTRIBUTE = _keys(
    type=(
        "`category` (texts), `number` or `flag`; needed",
        "attributes: {is_guest: {from: guest, type: flag}}",
    ),
    unit=(
        "of a number, for people",
        "attributes: {account_age: {from: age, type: number, unit: days}}",
    ),
    low=(
        "smallest value of a number; below it a value is missing",
        "attributes: {account_age: {from: age, type: number, low: 0}}",
    ),
    high=(
        "largest value of a number; above it a value is missing",
        "attributes: {account_age: {from: age, type: number, high: 40000}}",
    ),
    words=(
        "how reasons and reports name it",
        "attributes: {mcc: {from: MCC, type: category, words: branch of the shop}}",
    ),
)
"""Of an entry of `attributes`, beside those of a column of its type."""

CONDITION = _keys(
    in_=(
        "is among these; as well `COLUMN: [a, b]`",
        "where: {status: {in: [settled, paid]}}",
    ),
    not_in=("is none of these", "where: {status: {not_in: [test]}}"),
    present=(
        "`true`: there is a value; `false`: there is none",
        "where: {customer: {present: true}}",
    ),
    above=("is a number above it", "where: {quantity: {above: 0}}"),
    at_least=("is a number, at least", "where: {quantity: {at_least: 1}}"),
    below=("is a number below it", "where: {quantity: {below: 1000}}"),
    at_most=("is a number, at most", "where: {quantity: {at_most: 999}}"),
)
"""Of a column in `where` or `when`."""

PIVOT = _keys(
    index=("source columns that name a row of the wide table", TOP["pivot"].example),
    tag=(
        "source column that names what a row holds; `heat: {from: TAG}` reads it",
        TOP["pivot"].example,
    ),
    value=("source column of the values", TOP["pivot"].example),
)

UNPIVOT = _keys(
    columns=("source columns that become rows", TOP["unpivot"].example),
    label=("name of the new column that holds the source column's name", TOP["unpivot"].example),
    value=("name of the new column that holds its value", TOP["unpivot"].example),
)

CURRENCIES = _keys(
    settlement=("code of the currency that amounts are kept in", "currencies: {settlement: USD}"),
    digits=(
        "its decimals, where they are not ISO 4217's",
        "currencies: {settlement: XTS, digits: 2}",
    ),
    rates=(
        "the other currencies, each with its rate",
        "currencies: {settlement: USD, rates: {EUR: {per_million: 1085000}}}",
    ),
)

RATE = _keys(
    digits=(
        "decimals of the currency, where they are not ISO 4217's",
        "currencies: {settlement: USD, rates: {XTS: {per_million: 1000, digits: 3}}}",
    ),
    per_million=(
        "whole units of the settlement currency that a million units of it are worth; needed",
        "currencies: {settlement: USD, rates: {JPY: {per_million: 6700}}}",
    ),
)

LOOKUP = _keys(
    file=(
        "Parquet or CSV file beside the data or the mapping",
        COLUMN["lookup"].example,
    ),
    key=("its column with the source text", COLUMN["lookup"].example),
    value=("its column with the text that stands for it", COLUMN["lookup"].example),
    newest_by=(
        "its column whose greatest value says which of several rows of a key counts",
        "plan: {from: id, lookup: {file: plans.csv, key: id, value: plan, newest_by: since}}",
    ),
)

_BY = "aggregate: {by: [example_id], distinct: line, latest: [event_time]"
AGGREGATE = _keys(
    by=("columns of the contract's key that name the row that comes out", f"{_BY}}}"),
    distinct=(
        "source columns with each row's own id: a row that is sent twice counts once, one that is "
        "sent with other content is quarantined; `none` where rows have no id and all count",
        f"{_BY}}}",
    ),
    running=(
        "`true` with all columns of a key of a thing and a time under `by`: the row of a time "
        "holds what all rows of the thing up to then come to",
        "aggregate: {by: [example_id, event_time], running: true, distinct: line,\n"
        "  sum: [amount_minor]}",
    ),
    ends=(
        "with `running`: `{COLUMN: [TEXT]}`, rows that end what another began; their values are "
        "taken off the sums",
        "aggregate: {by: [example_id, event_time], running: true, distinct: line,\n"
        "  ends: {change: [ended]}, sum: [amount_minor]}",
    ),
    sum=("numbers; money after conversion into one currency", f"{_BY}, sum: [amount_minor]}}"),
    earliest=("times", f"{_BY}, earliest: [closed_at]}}"),
    latest=("times", f"{_BY}}}"),
    smallest=("numbers", f"{_BY}, smallest: [weight]}}"),
    largest=("numbers", f"{_BY}, largest: [weight]}}"),
    any=("flags", f"{_BY}, any: [is_open]}}"),
    all=("flags", f"{_BY}, all: [is_open]}}"),
    first=("the value of the oldest row that has one", f"{_BY}, first: [plan]}}"),
    last=("the value of the newest row that has one", f"{_BY}, last: [plan]}}"),
    note=("text for people", f"{_BY}, note: one row for each account}}"),
)
