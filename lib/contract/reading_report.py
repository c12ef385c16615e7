"""What a mapping makes of a data set: counts, reasons, rows side by side, as lines and page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lib.contract.quarantine_summary import QuarantineSummary
from lib.contract.row_preview import CellPreview, RowPreview
from lib.report import KeyFigure, KeyFigures, Note, Report, Section, Table

_MOST_REASONS = 12


@dataclass(frozen=True)
class ReadingReport:
    """What became of the rows of a data set.

    Attributes:
        source: file, folder or URI.
        mapping: name of the mapping file.
        contract: that it fills.
        good: rows that passed.
        summary: of the reading.
        rows: some before and after.
    """

    source: str
    mapping: str
    contract: str
    good: int
    summary: QuarantineSummary
    rows: Sequence[RowPreview]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by what became of them; they add up to those that were read."""
        summary = self.summary
        return {
            "good": self.good,
            "set aside": summary.quarantined,
            "left out": summary.left_out,
            "repeats": summary.repeats,
            "merged": summary.merged,
        }

    def to_text(self) -> str:
        """Lines for a terminal."""
        counts = " + ".join(f"{count:,} {name}" for name, count in self.counts.items())
        lines = [
            f"{self.source} as {self.contract} by {self.mapping}",
            f"rows: {self.summary.rows_in:,} = {counts}",
        ]
        if self.summary.reasons:
            lines.append("set aside, by reason:")
        for reason, count in list(self.summary.reasons.items())[:_MOST_REASONS]:
            lines.append(f"{count:>10,}  {reason}{self._example(reason)}")
        if self.summary.adjustments:
            lines.append("values adjusted, of rows that stay:")
        for reason, count in list(self.summary.adjustments.items())[:_MOST_REASONS]:
            lines.append(f"{count:>10,}  {reason}")
        for row in self.rows:
            lines += ["", f"{row.location}: {row.reason or 'good'}", *_side_by_side(row)]
        return "\n".join(lines)

    def _example(self, reason: str) -> str:
        example = self.summary.examples.get(reason)
        text = "" if example is None else example.text(self.source)
        return f" (e.g. {text})" if text else ""

    def page(self) -> Report:
        """The same as a page."""
        figures = tuple(KeyFigure(name, f"{count:,}") for name, count in self.counts.items())
        all_rows = KeyFigure("rows read", f"{self.summary.rows_in:,}")
        sections = [
            Section("Rows", [KeyFigures((all_rows, *figures)), *self._reasons()]),
            *(
                Section(f"{row.location}: {row.reason or 'good'}", _blocks(row))
                for row in self.rows
            ),
        ]
        return Report(
            title=f"{self.source} as {self.contract}",
            subtitle=f"Read by {self.mapping}; values before and after, side by side",
            sections=sections,
            facts={"counts": self.counts, "rows": [asdict(row) for row in self.rows]},
        )

    def _reasons(self) -> list[Table]:
        tables = []
        for caption, reasons in (
            ("Rows that are set aside, by reason", self.summary.reasons),
            ("Values that were adjusted in rows that stay", self.summary.adjustments),
        ):
            rows = tuple(
                (f"{reason}{self._example(reason)}", count)
                for reason, count in list(reasons.items())[:_MOST_REASONS]
            )
            if rows:
                tables.append(Table(("reason", "rows"), rows, caption=caption))
        return tables


def _blocks(row: RowPreview) -> list[Note | Table]:
    header = ("source column", "before", "column", "after")
    rows = tuple((cell.source, cell.before, cell.column, cell.after) for cell in row.cells)
    return [Table(header, rows), *(Note(text) for text in row.adjustments)]


def _side_by_side(row: RowPreview) -> list[str]:
    def width(name: str) -> int:
        return max((len(getattr(cell, name)) for cell in row.cells), default=0)

    source, before, column = width("source"), width("before"), width("column")

    def line(cell: CellPreview) -> str:
        left = f"    {cell.source:{source}}  {cell.before:{before}}"
        return f"{left}  ->  {cell.column:{column}}  {cell.after}"

    return [*(line(cell) for cell in row.cells), *(f"    {text}" for text in row.adjustments)]
