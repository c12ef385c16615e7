"""Four systems that have lived for a week: decisions, models, an experiment, incidents, a queue."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lib.console.source import SystemSource
from lib.console.system_records import SystemRecords
from lib.experiment.declaration import Experiment
from lib.experiment.looks import PastLook
from lib.experiment.models import ExperimentDecision
from lib.monitoring.repository import ObservedIncident
from lib.records import Records
from lib.records.database import Database
from lib.records.review import ReviewItem
from lib.records.review.tables import SETTINGS
from lib.registry import Registry, TrainingRecord, make_evidence, to_iso, write_artifact
from tests.console.seeded_customers import seed_customers
from tests.console.seeded_fleet import decide_fleet, seed_fleet
from tests.console.seeded_payments import MAIN, seed_payments
from tests.console.seeded_posts import POST, seed_posts
from tests.console.seeded_rules import seed_business, seed_rules
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions
from tests.records.review_factories import HOUR, LEASE, close, item

DAY = 24 * HOUR
NOW = NOVEMBER + 3 * HOUR
DECISIONS = {
    "fraud": {"APPROVE": 60, "REVIEW": 9, "DECLINE": 4},
    "maintenance": {"MONITOR": 20, "INSPECT": 5, "SERVICE": 2},
    "churn": {"MONITOR": 30, "CONTACT": 7},
    "moderation": {"ALLOW": 40, "REVIEW": 6, "REMOVE": 3},
}
QUESTIONS = {
    "fraud": "fraud",
    "maintenance": "fault",
    "churn": "at_risk",
    "moderation": "hate",
}
EXPERIMENT = "fraud/smaller-model"
STORED_SCRIPT = "<script>alert(1)</script>"
"""What a caller might send in any field that it sets."""


def script_id(number: int) -> str:
    """An id that would act on a page that did not escape it."""
    return f"{STORED_SCRIPT}{number}\"'><img src=x onerror=alert(2)>"


@dataclass(frozen=True)
class Seeded:
    """Where everything is.

    Attributes:
        folder: of the databases and the registry.
        versions: of fraud's models, the earliest first; the second is champion, the third
            challenger.
        payment_id: of a payment with all that pages show of it.
        post_id: of a post, likewise.
    """

    folder: Path
    versions: tuple[str, ...]
    payment_id: str
    post_id: str

    def records(self, system: str) -> str:
        """URL of a system's records."""
        return f"sqlite:///{self.folder / system}.sqlite"

    @property
    def registry(self) -> Path:
        """The registry of all systems."""
        return self.folder / "registry"

    @property
    def media(self) -> Path:
        """Media of posts."""
        return self.folder / "media"

    def copied(self, folder: Path) -> Seeded:
        """The same in a new folder."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    @contextmanager
    def source(self, system: str = "fraud") -> Iterator[SystemSource]:
        """A system, as the console reads it."""
        source = SystemSource.open(system, self.records(system), str(self.registry))
        with source.records:
            yield source


def seed(folder: Path, ids: Callable[[int], str] = "t{}".format, plans: bool = True) -> Seeded:
    """Fill the databases of all systems.

    Args:
        folder: a new one.
        ids: ids of subjects by their number, as callers might choose them.
        plans: whether a week of services is planned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    versions = tuple(_publish(folder, day) for day in range(3))
    seeded = Seeded(folder, versions, ids(MAIN), ids(POST))
    for system in DECISIONS:
        _decide(seeded, system, ids)
    if plans:
        with seeded.source("maintenance") as source:
            seed_fleet(source, ids)
        with Records(seeded.records("maintenance")) as records:
            decide_fleet(records, ids)
    with seeded.source() as source:
        registry, records = source.registry, source.records
        _name_aliases(registry, versions)
        _experiment(records, versions, ids)
        _incident(records)
    seed_customers(seeded.records("churn"), ids)
    seed_rules(seeded, ids, f"too many good customers {STORED_SCRIPT}")
    seed_business(seeded, f"Prices are those of 2026 {STORED_SCRIPT}.")
    seed_payments(seeded.records("fraud"), ids, versions[1])
    seed_posts(seeded.records("moderation"), seeded.media, ids)
    return seeded


def _publish(folder: Path, day: int) -> str:
    created_at = NOVEMBER - (9 - 3 * day) * DAY
    metrics = {"auc": 0.91 + 0.01 * day, "average_precision": 0.62 + 0.02 * day, "brier": 0.031}
    record = TrainingRecord(
        created_at=created_at,
        data_fingerprint="ab" * 32,
        code_version="0.1.0",
        parameters={"seen_until": to_iso(created_at - DAY)},
        metrics=metrics,
    )
    write_artifact(
        folder / f"model-{day}",
        record,
        system="fraud",
        feature_set_digest="cd" * 32,
        feature_names=("amount", "hour_of_day"),
        files={"model.json": b"{}"},
        thresholds={"decline": 0.9, "review": 0.4},
    )
    return Registry(folder / "registry").publish(folder / f"model-{day}", "fraud")


def _decide(seeded: Seeded, system: str, ids: Callable[[int], str]) -> None:
    rows, number = [], 0
    for kind, count in DECISIONS[system].items():
        for index in range(count):
            for at in (NOVEMBER + index * SECOND, NOVEMBER - 7 * DAY + index * SECOND):
                if at < NOVEMBER and index % 4 == 0:
                    continue
                number += 1
                moved = {"event_time": at, "received_at": at + SECOND, "decided_at": at + SECOND}
                rows.append(decision(ids(number), system=system, decision=kind, **moved))
    with Records(seeded.records(system)) as records:
        records.migrate()
        keep_decisions(records, rows)
    _keep_salt(seeded.records(system))
    with seeded.source(system) as source:
        items = [
            _item(system, index, ids(index)) for index in range(DECISIONS[system].get("REVIEW", 4))
        ]
        source.records.admit(items, "service")
        (claimed,) = source.records.claim("ann", 1, now=NOVEMBER + HOUR, lease=LEASE)
        source.records.decide(
            claimed.item_id, "ann", claimed.token, {QUESTIONS[system]: True},
            now=NOVEMBER + HOUR + SECOND, next_step=close,
        )  # fmt: skip


def _keep_salt(url: str) -> None:
    """Give a queue a salt that is known, so that the same items get second opinions each time."""
    with closing(Database(url)) as database, database.writing() as connection:
        database.insert_new(connection, SETTINGS, [{"name": "salt", "value": "a known salt"}])


def _item(system: str, number: int, subject_id: str) -> ReviewItem:
    at = NOVEMBER + number * SECOND
    return item(
        number, system=system, subject_id=subject_id, policies={QUESTIONS[system]: 0.7},
        created_at=at, due_at=at + (1 + number) * HOUR, rank_us=at,
    )  # fmt: skip


def _name_aliases(registry: Registry, versions: tuple[str, ...]) -> None:
    at = NOVEMBER - 8 * DAY
    registry.set_alias("fraud", "champion", versions[0], at=at, by="ana", reason="the first")
    evidence = make_evidence(
        kind="report", name="training/report.json", statement="keeps 1,200 USD a week more",
        sha256="ef" * 32,
    )  # fmt: skip
    registry.set_alias(
        "fraud", "champion", versions[1], at=NOVEMBER - 5 * DAY, by="ana", evidence=evidence
    )
    registry.set_alias("fraud", "challenger", versions[2], at=NOVEMBER - 2 * DAY, by="ana")


def _experiment(
    records: SystemRecords, versions: tuple[str, ...], ids: Callable[[int], str]
) -> None:
    started = NOVEMBER - 2 * DAY
    declared = Experiment(
        name="smaller-model", system="fraud", champion=versions[1], challenger=versions[2],
        mode="ab", share=0.5, until=to_iso(NOVEMBER + 12 * DAY), smallest_gain=500.0,
    )  # fmt: skip
    stored = records.start(declared, by="ana", at=started)
    rows = [_trial(number, versions, ids, started) for number in range(1, 400)]
    records.insert_decisions(rows)
    for number, gain in enumerate((320.0, 610.0, 540.0), 1):
        margin = 900.0 / number
        as_of = started + number * DAY // 2
        look = PastLook(
            as_of, 0.5 * number, 0.07 * number, 0.8, gain, gain - margin, gain + margin,
            gain / margin * 2, 4.5 - number * 0.5, "go on",
        )  # fmt: skip
        sentence = f"the challenger keeps {gain:.0f} USD a week more, not beyond what chance brings"
        detail = {"look": vars(look), "action": "go on"}
        records.record_judgement(stored.id, {**detail, "sentence": sentence}, by="ana", at=as_of)


def _trial(
    number: int, versions: tuple[str, ...], ids: Callable[[int], str], started: int
) -> ExperimentDecision:
    """One subject; the challenger does not answer for one in fifty."""
    at, user = started + number * HOUR // 20, number % 90
    fields: dict[str, object] = {
        "system": "fraud",
        "subject_id": ids(number),
        "experiment_id": EXPERIMENT,
        "entity_id": f"u{user}",
        "event_time": at,
        "decided_at": at,
        "arm": "challenger" if user < 44 else "champion",
        "champion_version": versions[1],
        "champion_decision": "APPROVE",
        "champion_score": 0.1,
        "challenger_version": versions[2],
    }
    if number % 50 == 0:
        return ExperimentDecision(**fields, fault="timeout")
    decided = "REVIEW" if number % 12 == 0 else "APPROVE"
    return ExperimentDecision(
        **fields, challenger_decision=decided, challenger_score=0.2, challenger_ms=4.5
    )


def _incident(records: SystemRecords) -> None:
    observed = ObservedIncident(
        measure="merchant_category", kind="new category", since=NOVEMBER - DAY,
        opened_at=NOVEMBER - DAY // 2, seen_at=NOVEMBER,
        detail={"sentence": f"merchant_category: new category ({STORED_SCRIPT}) since yesterday"},
    )  # fmt: skip
    records.record("fraud", [], [observed], NOVEMBER)
