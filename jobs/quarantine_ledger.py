"""Counts of a reading, kept as one small file per piece beside the quarantined rows.

Entries are named by the piece or by the keys they belong to, so a task that Ray runs a second
time overwrites its own and counts nothing twice.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from lib.contract import (
    Checked,
    ContractError,
    Mapping,
    QuarantineExample,
    QuarantineSummary,
    quarantine_examples,
)
from lib.storage import Storage, write_parquet


class Stage(StrEnum):
    """Where rows are counted, in the order in which they come by."""

    READ = "read"
    MERGED = "merged"
    KEYS = "keys"
    AFTER = "after"


def write_entry(
    checked: Checked, name: str, quarantine: Storage, stage: Stage, mapping: Mapping | None = None
) -> None:
    """Write the quarantined rows of one piece and its counts.

    Args:
        checked: rows of a piece of the source, or of some keys.
        name: of the entry, the same in a second run of the task.
        quarantine: where to write.
        stage: only rows of `Stage.READ` count as rows of the source.
        mapping: that read them.
    """
    if checked.quarantined.num_rows:
        write_parquet(checked.quarantined, quarantine, f"{name}.parquet")
    examples = {} if mapping is None else quarantine_examples(checked.quarantined, mapping)
    entry = {
        "stage": stage,
        "rows_in": checked.rows_in,
        "good": checked.good.num_rows,
        "left_out": checked.left_out,
        "repeats": checked.repeats,
        "merged": checked.merged,
        "quarantined": checked.quarantined.num_rows,
        "empty_files": int(stage == Stage.READ and not checked.rows_in),
        "reasons": checked.reasons,
        "adjustments": checked.adjustments,
        "left_out_by": "" if mapping is None else mapping.leaves_out_by,
        "examples": {reason: asdict(example) for reason, example in examples.items()},
    }
    quarantine.write(f"ledger/{name}.json", json.dumps(entry).encode())


def summary(storage: Storage, quarantine: str) -> QuarantineSummary:
    """What the ledger of a finished reading says.

    Raises:
        ContractError: rows that were read did not come to the check of their keys, or came twice.
    """
    totals: Counter[str] = Counter()
    by_stage: dict[str, Counter[str]] = {stage: Counter() for stage in Stage}
    reasons: Counter[str] = Counter()
    adjustments: Counter[str] = Counter()
    examples: dict[str, dict[str, Any]] = {}
    left_out_by = ""
    for path in sorted(storage.files(f"{quarantine}/ledger".lstrip("/"))):
        entry = json.loads(storage.read(path) or b"{}")
        stage = by_stage[entry.pop("stage")]
        reasons.update(entry.pop("reasons"))
        adjustments.update(entry.pop("adjustments"))
        examples = entry.pop("examples") | examples
        left_out_by = entry.pop("left_out_by") or left_out_by
        stage.update(entry, entries=1)
        totals.update(entry)
    _refuse_lost_rows(by_stage, quarantine)
    return QuarantineSummary(
        rows_in=by_stage[Stage.READ]["rows_in"],
        repeats=totals["repeats"],
        merged=totals["merged"],
        quarantined=totals["quarantined"],
        reasons=dict(reasons.most_common()),
        left_out=totals["left_out"],
        left_out_by=left_out_by,
        empty_files=totals["empty_files"],
        adjustments=dict(adjustments.most_common()),
        examples={reason: QuarantineExample(**entry) for reason, entry in examples.items()},
    )


def adjustment_lines(summary: dict[str, Any], table: str = "") -> list[str]:
    """Closing lines: values that were changed on reading, by column and reason.

    Args:
        summary: a `QuarantineSummary` as a job's note holds it.
        table: stands before each reason, where several tables are told.
    """
    counts: dict[str, int] = summary.get("adjustments", {})
    lines = [f"    {count:>8,}  {table}{reason}" for reason, count in counts.items()]
    if summary.get("empty_files"):
        lines.append(f"    {summary['empty_files']:>8,}  {table}files without a row")
    return ["  values adjusted", *lines] if counts else lines


def most_frequent_reason(storage: Storage, quarantine: str, source: str | Sequence[str]) -> str:
    """How many rows of a finished reading were set aside and most often why, in one sentence.

    An error that no row is left begins with it.

    Args:
        storage: where the quarantine lies.
        quarantine: folder of the table in it, such as `work/quarantine/labels`.
        source: file, folder or URI that was read.
    """
    name = source if isinstance(source, str) else ", ".join(source)
    return summary(storage, quarantine).most_frequent_reason(name)


def _refuse_lost_rows(by_stage: dict[str, Counter[str]], quarantine: str) -> None:
    good = by_stage[Stage.READ]["good"]
    for stage in (Stage.MERGED, Stage.KEYS):
        counts = by_stage[stage]
        if not counts["entries"]:
            continue
        if counts["rows_in"] != good:
            raise ContractError(
                f"{quarantine}: {good:,} rows were handed on, and {counts['rows_in']:,} came to "
                "the check of their keys: the result is not whole; run the job again, and report "
                "it if it happens again"
            )
        good = counts["good"]
