"""The reference of mapping files: every key with its meaning, where it stands, and an example."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import yaml

from lib.contract import mapping_keys
from lib.contract.contract import Contract
from lib.contract.declaration import MINOR_UNITS, Column, text_column, time_column
from lib.contract.mapping_keys import Key, Keys
from lib.contract.reading_keys import reading_keys

EXAMPLES = Contract(
    name="examples",
    columns=(
        text_column("example_id", "names it"),
        time_column("event_time", "when it was"),
        Column("amount_minor", pa.int64(), "paid", unit=MINOR_UNITS, high=10**8),
        time_column("closed_at", "when it ended", required=False),
        text_column("plan", "what was bought", required=False),
        Column("weight", pa.float64(), "weight", required=False, unit="kg"),
        Column("is_open", pa.bool_(), "whether it goes on", required=False),
        Column("kind", pa.string(), "what was read", required=False),
    ),
    key=("example_id", "event_time"),
    takes_attributes=True,
    extras=Column("", pa.float64(), "a reading", required=False),
    has_parts=True,
)
"""What the examples of the reference fill."""

_KINDS = {
    "time": time_column("t", ""),
    "amount of money": Column("m", pa.int64(), "", unit=MINOR_UNITS),
    "number": Column("n", pa.float64(), ""),
    "number with a unit": Column("n", pa.float64(), "", unit="kg"),
    "whole number": Column("w", pa.int64(), ""),
    "flag": Column("f", pa.bool_(), ""),
    "text": text_column("s", ""),
    "list of numbers": Column("l", pa.list_(pa.float64()), ""),
    "bytes": Column("b", pa.large_binary(), ""),
}
_BASE: dict[str, Any] = {
    "contract": "examples",
    "columns": {
        "example_id": {"from": "id"},
        "event_time": {"from": "ts", "timezone": "UTC"},
        "amount_minor": {"from": "amt", "unit": "minor"},
    },
}
_SECTIONS = ("contract", "note", "file", "where", "pivot", "unpivot", "currencies", "aggregate")
_OF_SECTIONS: tuple[tuple[str, str, Keys], ...] = (
    ("The file itself", "", mapping_keys.TOP),
    ("`file`: how the files are written", "", mapping_keys.FILE),
    ("An entry of `columns` or `attributes`", "", mapping_keys.COLUMN),
    ("Times", "time", mapping_keys.TIME),
    ("Amounts of money", "amount of money", mapping_keys.MONEY),
    ("Numbers and flags", "number", mapping_keys.NUMBER),
    ("Texts and ids", "text", mapping_keys.TEXT),
    ("Physical units", "number with a unit", mapping_keys.UNIT),
    ("Optional columns", "optional", mapping_keys.OPTIONAL),
    ("Columns that the contract does not name: sensors", "", mapping_keys.EXTRA),
    ("`attributes`", "", mapping_keys.ATTRIBUTE),
    ("Conditions of `where` and `when`, all of which must hold", "", mapping_keys.CONDITION),
    ("`pivot`", "", mapping_keys.PIVOT),
    ("`unpivot`", "", mapping_keys.UNPIVOT),
    ("`currencies`", "", mapping_keys.CURRENCIES),
    ("A currency of `rates`", "", mapping_keys.RATE),
    ("`lookup`", "", mapping_keys.LOOKUP),
    ("`aggregate`", "", mapping_keys.AGGREGATE),
)


def reference() -> str:
    """The reference as Markdown."""
    parts = ["Every key of a mapping file; no other is taken. Each example is parsed by a test."]
    for title, kind, keys in _OF_SECTIONS:
        parts.append(f"### {title}")
        if kind:
            parts.append(f"Of columns that hold: {', '.join(_holders(kind, keys))}.")
        parts.append(_table(keys))
    return "\n\n".join(parts)


def examples() -> list[tuple[str, str]]:
    """Path of every key, and its example completed to a mapping file."""
    return [
        (f"{title}: {name}", complete(key.example))
        for title, _, keys in _OF_SECTIONS
        for name, key in keys.items()
    ]


def complete(example: str) -> str:
    """A mapping file of the contract `examples` with the lines of an example in it."""
    content: dict[str, Any] = yaml.safe_load(example)
    sections = {name: section for name, section in content.items() if name in _SECTIONS}
    sections |= {name: content[name] for name in ("attributes",) if name in content}
    columns = content.get(
        "columns", {name: entry for name, entry in content.items() if name not in sections}
    )
    filled = {**_BASE["columns"], **columns}
    if "pivot" in sections:
        filled |= {"heat": {"from": "T1"}}
    if "unpivot" in sections:
        filled |= {"kind": {"from": "kind"}, "weight": {"from": "reading"}}
    needed = [
        name
        for operation, names in sections.get("aggregate", {}).items()
        for name in (names if isinstance(names, list) else [])
        if operation not in ("by", "distinct") and name not in filled
    ]
    filled |= {name: {"from": name} for name in needed if name != "closed_at"}
    filled |= {name: {"from": name, "timezone": "UTC"} for name in needed if name == "closed_at"}
    text: str = yaml.safe_dump({**_BASE, **sections, "columns": filled}, sort_keys=False)
    return text


def _holders(kind: str, keys: Keys) -> list[str]:
    """Kinds of columns whose reader takes these keys."""
    if kind == "optional":
        return ["anything, where they may be missing"]
    return [name for name, column in _KINDS.items() if set(keys) <= set(reading_keys(column))]


def _table(keys: Keys) -> str:
    lines = ["| key | meaning | example |", "| --- | --- | --- |"]
    lines += [_row(name, key) for name, key in keys.items()]
    return "\n".join(lines)


def _row(name: str, key: Key) -> str:
    example = " ".join(line.strip() for line in key.example.splitlines())
    return f"| {_cells([f'`{name}`', key.meaning, f'`{example}`'])} |"


def _cells(texts: Sequence[str]) -> str:
    return " | ".join(text.replace("|", "\\|") for text in texts)
