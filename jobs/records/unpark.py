"""Let parked decisions be scored again: `python -m jobs.records.unpark --help`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.progress import JobOptions
from jobs.registry.console import format_table, format_time
from lib.records import Records, RecordsError, Rescore
from lib.records.database import require_database
from lib.records.rescoring import DECISION_ABSENT
from lib.records.systems import System


@dataclass(frozen=True)
class UnparkConfig(JobOptions):
    """List fallback decisions whose rescoring failed too often, and release them.

    A running service scores released decisions within seconds, with a new count of attempts.
    Decisions that are archived or erased stay parked.
    """

    system: System
    """system whose decisions are listed"""
    records: str
    """database of the records: sqlite:///path, postgresql+psycopg://..., or env:NAME or file:/path
    that holds the URL"""
    subject: tuple[str, ...] = ()
    """ids of payments, machines, customers or posts to release; default: all parked ones"""
    fault: str | None = None
    """fault, as in the list, of the decisions to release; default: any"""
    show: int = 50
    """maximum number of listed decisions; all are counted and released"""
    dry_run: bool = False
    """only list, and release nothing"""

    def check(self) -> None:
        """See `JobOptions`."""
        if self.show < 0:
            raise RecordsError(f"show: expected 0 rows or more, got {self.show}")
        require_database(self.records)


def main(config: UnparkConfig) -> int:
    """List what is parked and release it; returns how many were released.

    Raises:
        RecordsError: a subject that is asked for is not parked; nothing is released then.
    """
    with Records(config.records) as records:
        records.migrate()
        parked = _chosen(config, records.list_parked(config.system))
        if parked:
            print(_table(parked, config.show))
        names = [rescore.subject_id for rescore in parked]
        released = 0 if config.dry_run else records.unpark_rescores(config.system, names)
    print(_closing_lines(config, parked, released))
    return released


def _chosen(config: UnparkConfig, parked: Sequence[Rescore]) -> list[Rescore]:
    absent = set(config.subject) - {rescore.subject_id for rescore in parked}
    if absent:
        raise RecordsError(
            f"--subject: {len(absent)} of {len(set(config.subject))} ids are not parked in "
            f"{config.system}; leave --subject out for the list"
        )
    return [
        rescore
        for rescore in parked
        if (not config.subject or rescore.subject_id in config.subject)
        and config.fault in (None, rescore.fault)
    ]


def _table(parked: Sequence[Rescore], show: int) -> str:
    rows = [
        (
            rescore.subject_id,
            format_time(rescore.parked_at or 0),
            f"{rescore.failures}",
            rescore.fault or "",
        )
        for rescore in parked[:show]
    ]
    lines = [format_table(("subject", "parked", "failures", "fault"), rows)]
    if len(parked) > show:
        lines.append(f"... and {len(parked) - show:,} more; --show {len(parked)} lists all")
    return "\n".join(lines)


def _closing_lines(config: UnparkConfig, parked: Sequence[Rescore], released: int) -> str:
    faults = Counter(rescore.fault or "unknown" for rescore in parked)
    unreleasable = faults[DECISION_ABSENT]
    lines = [f"  {count:>8,}  {fault}" for fault, count in faults.most_common()]
    lines.insert(0, f"parked in {config.system}: {len(parked):,}")
    if config.dry_run:
        return "\n".join([*lines, f"would be released: {len(parked) - unreleasable:,}"])
    lines.append(f"released: {released:,}")
    if unreleasable:
        lines.append(f"still parked: {unreleasable:,}, {DECISION_ABSENT}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_job(UnparkConfig, main)
