"""What became of work orders, to train on: `python -m jobs.maintenance.outcomes --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.options import parse_time
from jobs.framework.paths import OutputPath
from jobs.framework.progress import JobOptions
from lib.maintenance.contracts import FAILURES, MAINTENANCE
from lib.maintenance.repository import WorkOrderRepository
from lib.maintenance.work_order_tables import done_orders, failure_table, service_table
from lib.storage import open_storage, write_parquet

_FIRST, _LAST = 0, 2**62


@dataclass(frozen=True)
class OutcomesConfig(JobOptions):
    """Write the reported outcomes of work orders as tables of services and of failures.

    OUTPUT/maintenance.parquet and OUTPUT/failures.parquet stand beside the plant's own log in the
    next call of jobs.maintenance.features; a service that both record counts once.
    """

    records: str
    """database of the service: sqlite:///path or postgresql+psycopg://user@host/database"""
    output: OutputPath
    """output folder or URI"""
    since: str | None = None
    """begin of the period in which outcomes were reported, ISO 8601 in UTC; default: no limit"""
    until: str | None = None
    """end of the period in which outcomes were reported, ISO 8601 in UTC, exclusive; default: no
    limit"""


def main(config: OutcomesConfig) -> str:
    """Write both tables; returns the folder or URI."""
    since = _FIRST if config.since is None else parse_time("--since", config.since)
    until = _LAST if config.until is None else parse_time("--until", config.until)
    book = WorkOrderRepository(config.records)
    try:
        orders = book.list_closed(since, until)
    finally:
        book.close()
    output = open_storage(config.output)
    counts, lines = {}, []
    for contract, table in (
        (MAINTENANCE, service_table(orders)),
        (FAILURES, failure_table(orders)),
    ):
        checked = contract.check(table)
        write_parquet(checked.good, output, f"{contract.name}.parquet")
        if checked.quarantined.num_rows:
            write_parquet(checked.quarantined, output, f"quarantine/{contract.name}.parquet")
            lines += [
                f"    {count:>8,}  rows of {contract.name} set aside in quarantine/: {reason}"
                for reason, count in checked.reasons.items()
            ]
        if checked.repeats:
            lines.append(f"    {checked.repeats:>8,}  rows of {contract.name} were repeats")
        counts[contract.name] = checked.good.num_rows
    summary = ", ".join(f"{count:,} rows of {name}" for name, count in counts.items())
    if idle := len(orders) - len(done_orders(orders)):
        lines.append(f"    {idle:>8,}  orders were not done: no service is written of them")
    head = f"{len(orders):,} work orders closed, {summary}"
    print("\n".join([head, *lines, f"written to {output.shown()}"]))
    return output.address()


if __name__ == "__main__":
    run_job(OutcomesConfig, main)
