"""How a CSV file is written, guessed from its first bytes: encoding, delimiter, header, quotes."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lib.contract.csv_text import BLOCK_BYTES
from lib.contract.file_format import FileFormat
from lib.contract.source_files import SourceFile
from lib.contract.suggestion.entry import Entry

_DELIMITERS = (",", ";", "\t", "|", "^", "~", ":", " ")
_RARE = "^~: "
_NAMES = {"\t": "tab", " ": "space"}
_MOST_LINES = 2_000
_MOST_SKIPPED = 40
_MOST_BLOCKS = 8
_NUMBER = re.compile(r"[+-]?[$€£]?\d[\d.,']*([eE][+-]?\d+)?%?")
_CP1252_HOLES = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])


@dataclass(frozen=True)
class FileGuess:
    """How a file is written, and the lines of the section `file` that say it."""

    form: FileFormat
    entries: tuple[Entry, ...] = ()


def guess_csv(file: SourceFile, default: FileFormat) -> FileGuess:
    """How a CSV file is written.

    Args:
        file: not empty.
        default: what holds where the section says nothing.
    """
    encoding, entries = _encoding(file)
    text = _head(file, encoding)
    lines = text.splitlines()[:_MOST_LINES]
    delimiter, share, width = _delimiter(lines)
    keys: dict[str, object] = {"encoding": encoding}
    if delimiter != default.delimiter_of(file.address):
        keys["delimiter"] = delimiter
        fields = f"{width} fields in {share:.0%} of the first {len(lines):,} lines"
        doubt = () if share > 0.9 and width > 1 else ("few lines have that many fields",)
        entries.append(Entry("delimiter", _NAMES.get(delimiter, delimiter), fields, doubt))
    quote = _quote(lines, delimiter)
    if quote != '"':
        keys["quote"] = quote
        entries.append(Entry("quote", quote, "stands around values in pairs"))
    if quote == '"' and '\\"' in text and '""' not in text.replace('""' + delimiter, ""):
        keys["escape"] = "\\"
        doubt = ("a backslash stands before quotes; it is taken to escape them",)
        entries.append(Entry("escape", "\\", 'texts such as \\"', doubt))
    entries += _header(lines, delimiter, quote, width, keys)
    form = FileFormat(kind="csv", **keys)  # type: ignore[arg-type]
    return FileGuess(form, tuple(entries))


def _encoding(file: SourceFile) -> tuple[str, list[Entry]]:
    invalid, blocks = False, 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open() as stream:
        first = stream.read(BLOCK_BYTES)
        block = first
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-8", []
        even, odd = first[:1024:2].count(0), first[1:1024:2].count(0)
        if max(even, odd) * 8 > len(first[:1024]):
            name = "utf-16-be" if even > odd else "utf-16-le"
            return name, [Entry("encoding", name, "every other byte is 0")]
        while block and blocks < _MOST_BLOCKS and not invalid:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                invalid = True
            else:
                block, blocks = stream.read(BLOCK_BYTES), blocks + 1
    if not invalid:
        return "utf-8", []
    name = "latin1" if any(byte in block for byte in _CP1252_HOLES) else "cp1252"
    doubt = (f"some bytes are not UTF-8; {name} is taken, look at letters such as é and ü",)
    return name, [Entry("encoding", name, "bytes that are not UTF-8", doubt)]


def _head(file: SourceFile, encoding: str) -> str:
    with file.open() as stream:
        block = stream.read(BLOCK_BYTES // 8)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(block)
    return text.lstrip("\ufeff")


def _delimiter(lines: Sequence[str]) -> tuple[str, float, int]:
    """The delimiter, the share of lines with the usual number of fields, and that number."""
    full = [line for line in lines if line.strip()]
    best, best_score = (",", 1.0, 1), 0.0
    if not full:
        return best
    for delimiter in _DELIMITERS:
        widths = Counter(len(_fields(line, delimiter)) for line in full)
        width, count = max(widths.items(), key=lambda pair: (pair[1] * (pair[0] > 1), pair[0]))
        share = count / len(full)
        if width < (3 if delimiter in " :" else 2):
            continue
        usual = len(_fields(full[0], delimiter)) == width
        if delimiter in _RARE and not usual:
            continue
        likely = share + (0.2 if usual else 0.0) - 0.3 * (delimiter in _RARE)
        if likely > best_score + 1e-9 or (likely == best_score and width > best[2]):
            best, best_score = (delimiter, share, width), likely
    return best


def _fields(line: str, delimiter: str, quote: str = '"') -> list[str]:
    try:
        if not quote:
            return next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [""])
        return next(csv.reader([line], delimiter=delimiter, quotechar=quote), [""])
    except csv.Error:
        return [line]


def _quote(lines: Sequence[str], delimiter: str) -> str:
    fields = [field.strip() for line in lines[:200] for field in line.split(delimiter)]
    pairs = {mark: sum(len(f) > 1 and f[0] == f[-1] == mark for f in fields) for mark in "\"'"}
    return "'" if pairs["'"] > max(2 * pairs['"'], len(fields) // 10, 1) else '"'


def _header(
    lines: Sequence[str], delimiter: str, quote: str, width: int, keys: dict[str, object]
) -> list[Entry]:
    """Lines above the header, and whether there is one."""
    rows = [(number, _fields(line, delimiter, quote)) for number, line in enumerate(lines)]
    rows = [(number, row) for number, row in rows if any(cell.strip() for cell in row)]
    entries: list[Entry] = []
    first = next((k for k, (_, row) in enumerate(rows[:_MOST_SKIPPED]) if len(row) == width), 0)
    short_header = first == 1 and len(rows[0][1]) > 1 and not lines[rows[0][0]].startswith("#")
    if short_header and not any(_is_data(cell) for cell in rows[0][1]):
        return _named_columns(rows[0][1], width, keys)
    if first:
        skipped = rows[first][0]
        keys["skip_lines"] = skipped
        because = f"the first {skipped} lines have other fields than those behind them"
        entries.append(
            Entry("skip_lines", skipped, because, ("the line after them is the header",))
        )
    body = [row for _, row in rows[first + 1 :] if len(row) == width]
    if rows and body and _is_row(rows[first][1], body):
        keys["header"] = False
        because = "the first line holds numbers where the lines below it do"
        doubt = ("no line names the columns; they are named 1, 2, 3 ...",)
        entries.append(Entry("header", False, because, doubt))
    return entries


def _named_columns(header: Sequence[str], width: int, keys: dict[str, object]) -> list[Entry]:
    names = [name if name.strip() else f"column {k + 1}" for k, name in enumerate(header[:width])]
    names += [f"column {k + 1}" for k in range(len(names), width)]
    names = [name if names.index(name) == k else f"{name} {k + 1}" for k, name in enumerate(names)]
    keys["columns"], keys["header"] = tuple(names), True
    because = f"the header has {len(header)} fields, the lines below it {width}"
    doubt = ("the names may stand above other columns",)
    return [Entry("columns", names, because, doubt), Entry("header", True, "it is passed over")]


def _is_data(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()) or re.match(r"\d{4}-\d\d-\d\d", cell.strip()))


def _is_row(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether the first line looks like those below it."""
    few = body[:200]
    numeric = [
        k for k in range(len(first)) if sum(_is_data(row[k]) for row in few) > 0.8 * len(few)
    ]
    return bool(numeric) and sum(_is_data(first[k]) for k in numeric) * 2 > len(numeric)
