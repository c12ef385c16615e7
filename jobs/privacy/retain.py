"""Let what is kept age, by kind: `python -m jobs.privacy.retain --config retention.yaml`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyarrow import fs

from jobs.framework.command import run_job
from jobs.framework.paths import LocalOutput, OutputPath
from jobs.framework.progress import JobOptions, progress
from lib.feature import SqliteStore, StoreError
from lib.records import RecordsError
from lib.records.archiving import Aged, open_archive
from lib.records.database import require_database
from lib.records.retention import Retention
from lib.storage import open_storage

_DAY = 86_400_000_000
_SQLITE = "sqlite:///"
_PLACES = {
    "media": "the folder or URI of stored media",
    "leftovers": "the folders of journals",
    "logs": "the folders of logs",
}


@dataclass(frozen=True)
class RetainConfig(JobOptions):
    """Archive and delete data older than the given ages; data without a given age are kept.

    Pending data stay at any age: decisions to be scored again, undecided reviews and their
    media, open work orders, journals that are not drained. Ages are whole days of 24 h before now.
    An interrupted run continues when it is started again. The service may run meanwhile.
    """

    records: str
    """database of the records: sqlite:///path, postgresql+psycopg://..., or env:NAME or file:/path
    that holds the URL"""
    archive: OutputPath | None = None
    """folder or URI of archived decisions, as date=YYYY-MM-DD/*.parquet"""
    archive_decisions_days: int | None = None
    """days after which decisions move to the archive; 2 or more"""
    decisions_days: int | None = None
    """age in days at which decisions are deleted from table and archive, with their ids"""
    facts_days: int | None = None
    """age in days at which labels and other facts are deleted"""
    rescores_days: int | None = None
    """age in days at which the later scores of fallback decisions are deleted"""
    reviews_days: int | None = None
    """days after their verdict at which reviews are deleted: texts, explanations, notes, outcomes,
    labels; and age of notes on what was not reviewed"""
    health_days: int | None = None
    """age in days at which health scores of customers are deleted, and overrides after they
    expired or were replaced"""
    interventions_days: int | None = None
    """age in days at which intervention plans are deleted, with their interventions and outcomes"""
    orders_days: int | None = None
    """days after closing at which work orders are deleted, and schedules without work orders"""
    experiments_days: int | None = None
    """age in days at which the two models' scores of experiments are deleted"""
    profile_store: str | None = None
    """SQLite profile store from which expired entries are deleted; Redis expires them itself"""
    media: OutputPath | None = None
    """folder or URI of moderation's stored media"""
    media_days: int | None = None
    """age in days at which media are deleted"""
    leftovers: tuple[LocalOutput, ...] = ()
    """journal folders, whose damaged lines and lines refused by the database are deleted"""
    leftovers_days: int | None = None
    """age in days at which these lines are deleted; they are not decisions that wait to be
    stored"""
    logs: tuple[LocalOutput, ...] = ()
    """folders of rotated logs: *.log.1, *.jsonl.1 and so on"""
    logs_days: int | None = None
    """age in days at which these logs are deleted"""
    dry_run: bool = False
    """only count what would be archived or deleted"""

    def check(self) -> None:
        """See `JobOptions`."""
        for name in vars(self):
            days = getattr(self, name)
            if name.endswith("_days") and days is not None and days < 1:
                raise RecordsError(f"{name}: expected 1 day or more, got {days}")
        for name, destination in _PLACES.items():
            if getattr(self, f"{name}_days") is not None and not getattr(self, name):
                raise RecordsError(f"{name}: expected {destination} for {name}_days, got nothing")
        if self.archive is not None:
            open_archive(self.archive)
        if self.archive_decisions_days is not None:
            if self.archive is None:
                raise RecordsError("archive: expected a folder or URI for archive_decisions_days")
            if self.archive_decisions_days < 2:
                raise RecordsError(
                    f"archive_decisions_days: expected 2 or more, got "
                    f"{self.archive_decisions_days}: journals still bring decisions of yesterday"
                )
        require_database(self.records)


def main(config: RetainConfig, now: int) -> dict[str, Aged]:
    """Age everything that is asked for, and print how much went, by kind.

    Args:
        config: what, and after how long.
        now: microseconds since 1970 UTC.
    """
    retention = Retention(config.records, count_only=config.dry_run)
    outcome: dict[str, Aged] = {}
    try:
        retention.migrate()
        steps = _steps(config, retention, now)
        with retention.alone(), progress(len(steps), "retention", "kinds") as done:
            for name, days, work in steps:
                outcome[name] = work(now - days * _DAY)
                done(1)
    finally:
        retention.close()
    if config.profile_store is not None and not config.dry_run:
        outcome["profiles"] = Aged(_sweep(config.profile_store))
    print(_closing_lines(config, outcome))
    return outcome


def _steps(
    config: RetainConfig, retention: Retention, now: int
) -> list[tuple[str, int, Callable[[int], Aged]]]:
    """Name, days and work of each kind that is asked for."""
    archive = "" if config.archive is None else open_archive(config.archive)
    in_use = retention.media_in_use
    leftovers = partial(_files, config.leftovers, _LEFTOVERS, config.dry_run)
    logs = partial(_files, config.logs, _LOGS, config.dry_run)
    steps: list[tuple[str, int | None, Callable[[int], Aged]]] = [
        ("reviews", config.reviews_days, retention.delete_reviews),
        ("rescores", config.rescores_days, retention.delete_rescores),
        ("decisions", config.decisions_days, retention.delete_decisions),
        (
            "decisions to archive",
            config.archive_decisions_days,
            lambda before: retention.archive_decisions(archive, before, now),
        ),
        ("facts", config.facts_days, retention.delete_facts),
        ("health", config.health_days, retention.delete_health),
        ("interventions", config.interventions_days, retention.delete_interventions),
        ("work orders", config.orders_days, retention.delete_orders),
        ("experiments", config.experiments_days, retention.delete_experiments),
        ("media", config.media_days, lambda before: _media(config, in_use(), before)),
        ("journal leftovers", config.leftovers_days, leftovers),
        ("logs", config.logs_days, logs),
    ]
    return [(name, days, work) for name, days, work in steps if days is not None]


_LEFTOVERS = ("*.rejected", "*.damaged")
_LOGS = ("*.log.[0-9]*", "*.log-[0-9]*", "*.jsonl.[0-9]*", "*.jsonl-[0-9]*")


def _media(config: RetainConfig, in_use: str, before: int) -> Aged:
    """Media written before; those that somebody still has to look at stay."""
    storage = open_storage(str(config.media))
    below = fs.FileSelector(storage.at(), recursive=True, allow_not_found=True)
    removed_count = waiting = 0
    for entry in storage.filesystem.get_file_info(below):
        name = entry.base_name
        if not entry.is_file or len(name) != 64 or (entry.mtime_ns or 0) // 1000 >= before:
            continue
        if name in in_use:
            waiting += 1
            continue
        removed_count += 1
        if not config.dry_run:
            storage.delete(f"{name[:2]}/{name}")
    return Aged(removed_count, waiting)


def _files(folders: tuple[Path, ...], names: tuple[str, ...], dry_run: bool, before: int) -> Aged:
    old = [
        path
        for folder in folders
        for name in names
        for path in folder.glob(name)
        if path.stat().st_mtime_ns // 1000 < before
    ]
    for path in [] if dry_run else old:
        path.unlink(missing_ok=True)
    return Aged(len(old))


def _sweep(url: str) -> int:
    if not url.startswith(_SQLITE):
        return 0
    path = Path(url.removeprefix(_SQLITE))
    if not path.exists():
        raise StoreError(f"profile store: expected a file at {path}, found none")
    store = SqliteStore(path)
    try:
        return store.sweep()
    finally:
        store.close()


def _closing_lines(config: RetainConfig, outcome: dict[str, Aged]) -> str:
    if not outcome:
        return "nothing was asked for, and nothing was changed; see --help for what can age"
    heading = "would go" if config.dry_run else "gone"
    head = f"{'kind':24} {heading:>12} {'still waits':>12}"
    rows = [
        f"{name:24} {counts.deleted:>12,} {counts.waiting:>12,}" for name, counts in outcome.items()
    ]
    return "\n".join([head, *rows])


if __name__ == "__main__":
    run_job(RetainConfig, lambda config: main(config, time.time_ns() // 1000))
