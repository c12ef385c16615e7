"""Erase a person or thing (GDPR Art. 17): `python -m jobs.privacy.erase --help`."""

import getpass
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalInput
from jobs.framework.progress import JobOptions, progress
from lib.churn.profiles import STANDING
from lib.feature import FeatureSet
from lib.feature.erasure import ProfileMatch, erase_profiles
from lib.fraud.features import FRAUD
from lib.maintenance.machine_store import erase_machine
from lib.moderation.author import AUTHORS
from lib.moderation.media.media_store import MediaStore
from lib.records import Records, RecordsError
from lib.records.database import require_database
from lib.records.entity import Entity, EntityRecords, entity_hash
from lib.records.erasure import Erasure
from lib.records.journal_erasure import drain_until_gone, drop_leftovers, waiting_decisions
from lib.records.systems import System, recorded_system

_FEATURES: dict[str, tuple[FeatureSet, ...]] = {
    "fraud": (FRAUD,),
    "churn": (STANDING,),
    "moderation": (AUTHORS,),
}
_VARIABLE = "FOREWARN_ERASURE_SECRET"
INCOMPLETE = 3
"""Exit status where something still waits: the same command again goes on."""


@dataclass(frozen=True)
class EraseConfig(JobOptions):
    """Erase users, machines or authors from records, archive, profiles, media and journals.

    Erasing again changes nothing. The service may run meanwhile: data that arrive about an erased
    person afterwards are new data and are stored; erase again for them.
    """

    system: System
    """system whose data are erased"""
    entity: tuple[str, ...]
    """ids of users, machines, customers or authors; one or more"""
    records: str
    """database of the records: sqlite:///path, postgresql+psycopg://..., or env:NAME or file:/path
    that holds the URL"""
    kind: str | None = None
    """kind of the ids: user, device or merchant (fraud), machine, customer or author; default: user
    for fraud, otherwise the only kind of the system"""
    profile_store: str | None = None
    """profile store or machine store: sqlite:///path or redis://host:port/0"""
    media: InputPath | None = None
    """folder or URI of moderation's stored media"""
    journal: tuple[LocalInput, ...] = ()
    """folders of decisions not yet stored, on this machine; run it on each node that serves"""
    secret_file: LocalInput | None = None
    """file with the secret of the audit log's hash; default: the environment variable
    FOREWARN_ERASURE_SECRET"""
    by: str = field(default_factory=getpass.getuser)
    """name of the person who erases, for the audit log"""
    wait_seconds: float = 15.0
    """time, in seconds, that a running service may take to hand over its journal"""
    dry_run: bool = False
    """only count what would be erased"""

    def check(self) -> None:
        """See `JobOptions`; the secret too, as nothing is erased without an entry in the audit."""
        require_database(self.records)
        for entity in self.entities:
            if not self.dry_run:
                entity_hash(entity, _secret(self.secret_file))

    @property
    def entities(self) -> list[Entity]:
        """What is erased."""
        kind = self.kind or next(iter(recorded_system(self.system).entities))
        return [Entity(self.system, kind, entity_id) for entity_id in self.entity]


def main(config: EraseConfig, now: int) -> int:
    """Erase or count, and print what was found by table; returns the exit status.

    Args:
        config: what.
        now: microseconds since 1970 UTC.
    """
    entities = config.entities
    secret = b"" if config.dry_run else _secret(config.secret_file)
    counts, left = Counter[str](), 0
    erasure = Erasure(config.records)
    try:
        erasure.migrate()
        with erasure.alone(), progress(len(entities), "erasure", "ids") as done:
            for entity in entities:
                entity_counts, waiting = _erase_entity(config, erasure, entity, secret, now)
                counts += entity_counts
                left += waiting
                done(1)
    finally:
        erasure.close()
    print(_closing_lines(config, counts, left))
    return INCOMPLETE if left else 0


def _erase_entity(
    config: EraseConfig, erasure: Erasure, entity: Entity, secret: bytes, now: int
) -> tuple[Counter[str], int]:
    if config.dry_run:
        matches = erasure.find(entity)
        waiting = sum(waiting_decisions(folder, entity) for folder in config.journal)
        counts = erasure.count(entity, matches) + _outside(config, erasure, entity, matches)
        return counts + Counter({"journal (undrained)": waiting}), 0
    name = erasure.begin(entity, secret, config.by, now)
    left = 0
    with Records(config.records) as records:
        for folder in config.journal:
            left += drain_until_gone(folder, records, entity, config.wait_seconds)
    matches = erasure.find(entity)
    # by what the records know of it; so it goes before them
    counts = _outside(config, erasure, entity, matches)
    counts += erasure.erase(entity, matches, config.by, now)
    erasure.end(name, counts, now)
    return counts, left


def _outside(
    config: EraseConfig, erasure: Erasure, entity: Entity, matches: EntityRecords
) -> Counter[str]:
    """What lies outside of the database: profiles, media, what drains left aside."""
    counts: Counter[str] = Counter()
    if config.profile_store is not None and config.system == "maintenance":
        store = config.profile_store
        counts["machines"] = erase_machine(store, entity.id, count_only=config.dry_run)
    elif config.profile_store is not None:
        features = _features_of(config.system)
        match = ProfileMatch(features, entity.column, [entity.id], matches.subjects)
        done = erase_profiles(config.profile_store, match, count_only=config.dry_run)
        counts.update(profiles=done.profiles, receipts=done.receipts)
    if config.media is not None and matches.media:
        kept = erasure.shown_elsewhere(matches.media, matches.subjects)
        shelf = MediaStore(config.media)
        for digest in matches.media - kept:
            if not config.dry_run:
                shelf.drop(digest)
        counts.update({"media": len(matches.media - kept), "media kept for other posts": len(kept)})
    for folder in config.journal:
        counts["journal (set aside)"] += drop_leftovers(folder, entity, count_only=config.dry_run)
    return counts


def _features_of(system: str) -> tuple[FeatureSet, ...]:
    if system not in _FEATURES:
        raise RecordsError(
            f"--profile-store: the profiles of {system} are not known here; expected one of "
            f"{', '.join(_FEATURES)}"
        )
    return _FEATURES[system]


def _secret(path: Path | None) -> bytes:
    if path is not None:
        try:
            return path.read_bytes().strip()
        except OSError as error:
            raise RecordsError(f"--secret-file: {error}") from error
    if not os.environ.get(_VARIABLE):
        raise RecordsError(
            f"secret: expected --secret-file or the variable {_VARIABLE}, 16 bytes or more; the "
            "audit keeps a hash with it instead of the id"
        )
    return os.environ[_VARIABLE].encode()


def _closing_lines(config: EraseConfig, counts: Counter[str], left: int) -> str:
    heading = "would be erased" if config.dry_run else "erased"
    lines = [f"{name:28} {count:>10,}" for name, count in sorted(counts.items())]
    unnamed = [
        option
        for option, value in (
            ("--profile-store", config.profile_store),
            ("--media", config.media if config.system == "moderation" else ""),
            ("--journal", config.journal or None),
        )
        if value is None
    ]
    if unnamed:
        lines.append(f"not looked into: {', '.join(unnamed)} not given")
    if left:
        lines.append(f"{left} decisions still wait in a journal in use; run the same again")
    return "\n".join([f"{'table':28} {heading:>10}", *lines])


if __name__ == "__main__":
    run_job(EraseConfig, lambda config: sys.exit(main(config, time.time_ns() // 1000)))
