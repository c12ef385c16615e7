"""What is old goes, what waits stays, and nothing goes that was not asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.framework.options import read_options
from jobs.privacy.retain import RetainConfig, main
from lib.churn.health_repository import HealthRepository
from lib.maintenance.repository import WorkOrderRepository
from lib.moderation.media.media_store import MediaStore
from lib.records import Records, RecordsError, RecordsUnavailableError, retention
from lib.records.partitions import DAY
from lib.records.review import ReviewStore
from tests.privacy.factories import all_values, review_item
from tests.records.conftest import NOVEMBER, SECOND, decision, empty_records, fact, keep_decisions
from tests.records.customer_factories import health_entry
from tests.records.order_factories import schedule, work_order
from tests.records.review_factories import close

NOW = NOVEMBER + 100 * DAY


def seed(url: str, records: Records, folder: Path) -> dict[str, str]:
    """Old and new of every kind, and old ones that wait."""
    for name, age, method in (("old", 50, "model"), ("due", 40, "fallback"), ("new", 1, "model")):
        at = NOW - age * DAY
        keep_decisions(
            records, [decision(name, event_time=at, received_at=at, decided_at=at, method=method)]
        )
        records.record_labels([fact(name, received_at=at)])
    reviews = ReviewStore(url)
    shelf = MediaStore(str(folder / "media"))
    digests = {name: shelf.keep(name.encode()) for name in ("old", "open", "new")}
    reviews.admit(
        [review_item("p1", {}), review_item("p2", {"media": {"image": digests["open"]}})], "routing"
    )
    (first,) = reviews.claim("rita", 1, now=NOVEMBER, lease=SECOND)
    reviews.decide(
        first.item_id, "rita", first.token, {"hate": True}, now=NOVEMBER, next_step=close
    )
    reviews.close()
    for name in ("old", "open"):
        os.utime(folder / "media" / digests[name][:2] / digests[name], (NOVEMBER / 1e6,) * 2)
    os.utime(folder / "media" / digests["new"][:2] / digests["new"], (NOW / 1e6,) * 2)
    return digests


def config(url: str, folder: Path, **changes: object) -> RetainConfig:
    fields: dict[str, object] = {
        "records": url,
        "archive": str(folder / "archive"),
        "archive_decisions_days": 30,
        "facts_days": 30,
        "rescores_days": 30,
        "reviews_days": 30,
        "health_days": 30,
        "interventions_days": 30,
        "orders_days": 30,
        "experiments_days": 30,
        "media": str(folder / "media"),
        "media_days": 30,
    }
    return RetainConfig(**(fields | changes))  # type: ignore[arg-type]


def test_what_is_old_goes_and_what_waits_stays(
    url: str,
    records: Records,
    tmp_path: Path,
    database,
) -> None:
    digests = seed(url, records, tmp_path)
    before = all_values(database)
    counted = main(config(url, tmp_path, dry_run=True), NOW)
    assert all_values(database) == before
    done = main(config(url, tmp_path), NOW)
    assert {name: outcome for name, outcome in counted.items() if name != "facts"} == {
        name: outcome for name, outcome in done.items() if name != "facts"
    }
    assert (done["decisions to archive"].deleted, done["decisions to archive"].waiting) == (1, 1)
    assert (done["reviews"].deleted, done["reviews"].waiting) == (1, 1)
    assert (done["media"].deleted, done["media"].waiting) == (1, 1)
    assert (done["rescores"].deleted, done["rescores"].waiting) == (0, 1)
    assert done["facts"].deleted == 2
    shelf = MediaStore(str(tmp_path / "media"))
    assert [shelf.read(digests[name]) is None for name in ("old", "open", "new")] == [
        True,
        False,
        False,
    ]
    kept = [records.decision("fraud", name) for name in ("old", "due", "new")]
    assert all(kept)
    assert len(records.to_rescore("fraud", 9, worker="w", now=NOW)) == 1
    again = main(config(url, tmp_path), NOW)
    assert {name: outcome.deleted for name, outcome in again.items()} == dict.fromkeys(done, 0)


def test_decisions_go_from_table_and_archive_with_their_ids(
    url: str, records: Records, tmp_path: Path
) -> None:
    seed(url, records, tmp_path)
    main(config(url, tmp_path), NOW)
    assert main(config(url, tmp_path, decisions_days=45), NOW)["decisions"].deleted == 1
    assert records.decision("fraud", "old") is None
    direct = RetainConfig(url, decisions_days=1)
    aged = main(direct, NOW + 2 * DAY)["decisions"]
    assert (aged.deleted, aged.waiting) == (1, 1)
    assert records.decision("fraud", "new") is None
    assert records.decision("fraud", "due") is not None


def test_nothing_goes_that_was_not_asked_for(
    url: str,
    records: Records,
    tmp_path: Path,
    database,
) -> None:
    seed(url, records, tmp_path)
    before = all_values(database)
    assert main(RetainConfig(url), NOW + 10_000 * DAY) == {}
    assert all_values(database) == before


def test_open_orders_stay_and_customers_health_ages(url: str, records: Records) -> None:
    orders, health = WorkOrderRepository(url), HealthRepository(url)
    for name in ("open", "closed"):
        orders.insert_schedule(schedule(name), [work_order(name, name)])
    orders.close_order("closed", {"result": "done"}, NOVEMBER)
    entries = [health_entry(0, customer_id="c", at=at, created_at=at) for at in (NOVEMBER, NOW)]
    health.insert_entries(entries)
    done = main(RetainConfig(url, orders_days=30, health_days=30), NOW)
    assert (done["work orders"].deleted, done["work orders"].waiting) == (2, 1)
    assert done["health"].deleted == 1
    assert [entry.id for entry in orders.list_of_machine("m")] == ["open"]
    assert [entry.at for entry in health.list_entries("c")] == [NOW]
    orders.close()
    health.close()


def test_notes_on_what_was_never_queued_age_and_others_stay(
    url: str, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_ROWS_AT_ONCE", 2)
    with ReviewStore(url) as reviews:
        reviews.admit([review_item("p5", {})], "routing")
        for name, at in (("p1", 0), ("p2", 0), ("p3", 0), ("p4", 90), ("p5", 0)):
            reviews.write_note(review_item(name, {}), "rita", "a name", NOVEMBER + at * DAY)
        aging = RetainConfig(url, reviews_days=30)
        counted, done, again = (
            main(each, NOW)["reviews"] for each in (replace(aging, dry_run=True), aging, aging)
        )
        notes = {
            name: [step.after for step in reviews.list_history(name) if step.what == "noted"]
            for name in ("p1", "p2", "p3", "p4", "p5")
        }
    assert [(each.deleted, each.waiting) for each in (counted, done, again)] == [
        (3, 1),
        (3, 1),
        (0, 1),
    ]
    kept = [{"note": "a name"}]
    assert notes == {"p1": [None], "p2": [None], "p3": [None], "p4": kept, "p5": kept}


def test_leftovers_and_old_logs_go_by_age(url: str, records: Records, tmp_path: Path) -> None:
    for name in ("a.rejected", "b.damaged", "c.journal", "fraud.log", "fraud.log.1"):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (NOVEMBER / 1e6,) * 2)
    aging = RetainConfig(
        url, leftovers=(tmp_path,), leftovers_days=9, logs=(tmp_path,), logs_days=9
    )
    done = main(aging, NOW)
    assert (done["journal leftovers"].deleted, done["logs"].deleted) == (2, 1)
    assert (tmp_path / "c.journal").exists()
    assert (tmp_path / "fraud.log").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"facts_days": 0}, "facts_days: expected 1 day or more"),
        ({"archive_decisions_days": 30}, "archive: expected a folder"),
        ({"archive_decisions_days": 1, "archive": "x"}, "expected 2 or more"),
        ({"media_days": 3}, "media: expected the folder"),
        ({"archive_decisions_days": 3, "archive": "s3://a:b@c"}, "without credentials"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, changes: dict, message: str) -> None:
    with pytest.raises(RecordsError, match=message):
        RetainConfig(url, **changes).check()


def test_options_come_from_a_file_and_the_url_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "retention.yaml"
    path.write_text("records: env:FOREWARN_RECORDS\nfacts_days: 400\narchive: var/archive\n")
    read = read_options(RetainConfig, ["--config", str(path)])
    assert (read.records, read.facts_days, read.reviews_days) == ("env:FOREWARN_RECORDS", 400, None)
    url = empty_records(tmp_path)
    line = [sys.executable, "-m", "jobs.privacy.retain", "--config", str(path)]
    environment = {**os.environ, "FOREWARN_RECORDS": url}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("kind ") for line in done.stdout.splitlines())
    del environment["FOREWARN_RECORDS"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "FOREWARN_RECORDS; it is not set" in done.stderr


def test_two_at_once_do_not_remove_the_same(url: str, records: Records, database) -> None:
    with database.removing():
        with pytest.raises(RecordsUnavailableError, match="another erasure or retention runs"):
            main(RetainConfig(url, facts_days=1), NOW)
        keep_decisions(records, [decision("t1")])  # the service goes on
    assert main(RetainConfig(url, facts_days=1), NOW)["facts"].deleted == 0
