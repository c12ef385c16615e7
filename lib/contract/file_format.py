"""How source files are written, as the section `file` of a mapping file says it."""

from dataclasses import dataclass

from lib.contract.csv_record import Dialect, FieldUse
from lib.contract.number_text import PLAIN, NumberFormat

_COMPRESSIONS = (".gz", ".bz2", ".zst", ".lz4", ".snappy")
_TAB_ENDINGS = (".tsv", ".tab")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How the source files are written.

    Args:
        kind: "parquet", "csv", or None to go by the file's ending.
        delimiter: between the fields of a CSV line; None: a tab in `.tsv` files, else a comma.
        encoding: of a CSV file; a byte order mark of UTF-16 counts more than "utf-8".
        missing: texts that mean "no value" in every column.
        number: how numbers are written as text, unless a column says otherwise.
        skip_lines: lines before the header, or before the first row, that are passed over.
        header: whether the first line of a CSV file names the columns.
        columns: names of the columns of a CSV file, instead of its header; without both they
            are named 1, 2, 3 ...
        quote: around values of a CSV file, "" for none.
        escape: before a quote inside a quoted value, "" where quotes are doubled.
        multiline: whether a quoted value may hold line ends; None: in free text and in columns
            that are not read, where no line of it is a row of the table by itself.
    """

    kind: str | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("",)
    number: NumberFormat = PLAIN
    skip_lines: int = 0
    header: bool = True
    columns: tuple[str, ...] = ()
    quote: str = '"'
    escape: str = ""
    multiline: bool | None = None

    def delimiter_of(self, address: str) -> str:
        """The delimiter of the file at `address`."""
        tabs = without_compression(address).lower().endswith(_TAB_ENDINGS)
        return self.delimiter or ("\t" if tabs else ",")

    def dialect(self, address: str, uses: tuple[FieldUse, ...] = ()) -> Dialect:
        """How records of the file at `address` are written."""
        return Dialect(
            delimiter=self.delimiter_of(address).encode(),
            quote=self.quote.encode(),
            escape=self.escape.encode(),
            multiline=self.multiline,
            uses=uses,
        )


def without_compression(address: str) -> str:
    """`address` without the ending of a compression: `a.csv` of `a.csv.gz`."""
    for ending in _COMPRESSIONS:
        if address.lower().endswith(ending):
            return address[: -len(ending)]
    return address
