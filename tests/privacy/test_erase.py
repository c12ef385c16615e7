"""Nothing of an erased person is left anywhere, and nothing of anybody else is gone."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from jobs.privacy.erase import INCOMPLETE, EraseConfig, main
from lib.churn.health_repository import HealthRepository
from lib.churn.intervention_repository import (
    InterventionOutcome,
    InterventionRepository,
    StoredPlan,
)
from lib.feature import OnlineFeatures, RedisStore, SqliteStore
from lib.fraud.features import FRAUD
from lib.maintenance.machine_store import SqliteMachines
from lib.maintenance.repository import WorkOrderRepository
from lib.moderation.media.media_store import MediaStore
from lib.monitoring.repository import MonitoringRepository, ObservedIncident
from lib.records import Decision, DecisionLog, Records, RecordsError
from lib.records.archiving import archive_day, days_before
from lib.records.database import Database
from lib.records.entity import Entity, entity_hash
from lib.records.erasure import Erasure
from lib.records.partitions import DAY
from lib.records.review import ReviewStore
from lib.records.review.tables import AUDIT
from lib.records.schema import ERASURES
from lib.records.systems import SYSTEMS, RecordedSystem
from tests.privacy.factories import all_values, review_item
from tests.records.conftest import (
    NOVEMBER,
    SECOND,
    append,
    count_decisions,
    decision,
    fact,
    keep_decisions,
)
from tests.records.customer_factories import health_entry, intervention
from tests.records.order_factories import schedule, work_order
from tests.records.review_factories import close
from tests.serve.redis_process import RedisProcess

SECRET = b"a secret of the operator's"
ANN, BOB = "ann.canary@example.org", "bob.kept@example.org"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


def payment(name: str, user: str, day: int = 0, **changes: object) -> Decision:
    at = NOVEMBER + day * DAY
    request = {"user_id": user, "transaction_id": name}
    entities = {"user_id": user, "merchant_id": "m1", "device_id": f"phone of {user}"}
    return decision(
        name, entities=entities, request=request, event_time=at, received_at=at, **changes
    )


def bytes_below(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_payer_is_erased_from_table_archive_facts_backlog_and_journal(
    url: str, records: Records, database: Database, tmp_path: Path, secret: Path
) -> None:
    keep_decisions(
        records,
        [
            payment("t1", ANN),
            payment("t2", BOB),
            payment("t3", ANN, 5, method="fallback"),
            payment("t4", BOB, 5),
            decision("t5", system="churn", entities={"customer_id": ANN}),
        ],
    )
    records.record_labels([fact("t1"), fact("t2"), fact("t3")])
    for day in days_before(database, NOVEMBER + DAY):
        archive_day(database, str(tmp_path / "archive"), day, NOVEMBER)
    with DecisionLog(tmp_path / "journal") as journal:
        append(journal, payment("t6", ANN, 5))
        append(journal, payment("t7", BOB, 5))
    (tmp_path / "journal" / "x.damaged").write_text(f'cut "{ANN}" off\nother\n')
    config = EraseConfig(
        "fraud", (ANN,), url, journal=(tmp_path / "journal",), secret_file=secret, by="dpo"
    )
    dry = EraseConfig("fraud", (ANN,), url, journal=(tmp_path / "journal",), dry_run=True)
    before = all_values(database)
    assert main(dry, NOVEMBER) == 0
    assert all_values(database) == before
    assert main(config, NOVEMBER) == 0
    left = all_values(database)
    assert left.count(ANN) == left.count("t5")  # churn's customer of that name is another system's
    assert b"t1" not in b"".join(name.name.encode() for name in (tmp_path / "archive").rglob("*"))
    assert [record.subject_id for record in records.decisions("fraud", 0, 2**62)] == [
        "t2",
        "t4",
        "t7",
    ]
    assert records.decision("fraud", "t1") is None
    assert records.decision("fraud", "t2") == payment("t2", BOB)
    assert records.labels_for("fraud", "t1") == ()
    assert records.labels_for("fraud", "t2") == (fact("t2"),)
    assert records.rescore_backlog("fraud") == 0
    assert ANN.encode() not in bytes_below(tmp_path / "journal")
    with database.reading() as connection:
        audit = connection.execute(select(ERASURES)).mappings().one()
    assert audit["entity_hash"] == entity_hash(Entity("fraud", "user", ANN), SECRET)
    assert audit["by"] == "dpo"
    assert audit["counts"]["archived decisions"] == 1
    assert audit["counts"]["decisions"] == 2
    assert main(config, NOVEMBER) == 0
    assert all_values(database).count(BOB) == left.count(BOB)


def test_sqlite_keeps_no_byte_of_whom_it_erased(tmp_path: Path, secret: Path) -> None:
    url = f"sqlite:///{tmp_path}/records.sqlite"
    with Records(url) as records:
        records.migrate()
        keep_decisions(records, [payment(f"t{n}", ANN if n % 3 else BOB) for n in range(300)])
    assert main(EraseConfig("fraud", (ANN,), url, secret_file=secret), NOVEMBER) == 0
    content = b"".join(path.read_bytes() for path in tmp_path.glob("records.sqlite*"))
    assert ANN.encode() not in content
    assert BOB.encode() in content


@pytest.mark.parametrize("kind", ["device", "merchant"])
def test_other_kinds_of_entities_are_found_without_an_index(
    url: str, records: Records, database: Database, tmp_path: Path, secret: Path, kind: str
) -> None:
    device = "IMEI-35"
    entities = {"user_id": BOB, f"{kind}_id": device}
    keep_decisions(
        records,
        [decision(f"t{day}", entities=entities, received_at=NOVEMBER + day * DAY) for day in (0, 5)]
        + [payment("t9", BOB, 5)],
    )
    for day in days_before(database, NOVEMBER + DAY):
        archive_day(database, str(tmp_path / "archive"), day, NOVEMBER)
    assert main(EraseConfig("fraud", (device,), url, kind=kind, secret_file=secret), NOVEMBER) == 0
    assert [record.subject_id for record in records.decisions("fraud", 0, 2**62)] == ["t9"]
    assert device not in all_values(database)


def test_a_system_that_shares_names_of_entities_is_indexed_by_its_own_usual_one(
    url: str,
    records: Records,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds = {"order": "order_id", "customer": "customer_id", "user": "user_id"}
    monkeypatch.setitem(SYSTEMS, "returns", RecordedSystem(kinds))  # type: ignore[arg-type]
    entities = {"order_id": "o1", "customer_id": ANN, "user_id": BOB}
    stored = [
        decision(f"r{day}", system=system, entities=entities, received_at=NOVEMBER + day * DAY)
        for day in (0, 5)
        for system in ("returns", "unknown")
    ]
    keep_decisions(records, stored)
    for day in days_before(database, NOVEMBER + DAY):
        archive_day(database, str(tmp_path / "archive"), day, NOVEMBER)
    assert count_decisions(records, "unknown") == 2
    with closing(Erasure(url)) as erasure:
        for kind, entity_id in (("order", "o1"), ("customer", ANN), ("user", BOB)):
            assert erasure.find(Entity("returns", kind, entity_id)).subjects == ("r0", "r5")


def event(name: str, user: str, device: str) -> dict[str, object]:
    return {
        "event_time": NOVEMBER,
        "transaction_id": name,
        "user_id": user,
        "merchant_id": "m1",
        "device_id": device,
        "amount_minor": 100,
        "currency": "EUR",
        "payment_method": "card",
        "latitude": math.nan,
        "longitude": math.nan,
    }


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/profiles.sqlite"
        return
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server")
    server = RedisProcess(tmp_path)
    server.start()
    yield server.url
    server.stop()


def test_profiles_and_receipts_of_a_payer_go_and_others_stay(
    tmp_path: Path, secret: Path, store_url: str
) -> None:
    url = f"sqlite:///{tmp_path}/records.sqlite"
    is_redis = store_url.startswith("redis")
    store = RedisStore(store_url) if is_redis else SqliteStore(store_url.removeprefix("sqlite:///"))
    online = OnlineFeatures(FRAUD)
    # a merchant that is named as the payer is somebody else
    named_alike = {**event("t4", BOB, "d2"), "merchant_id": ANN}
    events = [event("t1", ANN, "d1"), event("t2", ANN, "d2"), event("t3", BOB, "d1"), named_alike]
    with Records(url) as records:
        records.migrate()
        for payment_event in events:
            store.exchange(online.request(payment_event))
            name, user = str(payment_event["transaction_id"]), str(payment_event["user_id"])
            keep_decisions(records, [payment(name, user)])
    config = EraseConfig("fraud", (ANN,), url, profile_store=store_url, secret_file=secret)
    assert main(config, NOVEMBER) == 0
    again = [store.exchange(online.request(payment_event)) for payment_event in events]
    assert [reply.first for reply in again] == [True, True, False, False]
    # whatever has Ann as its user began anew; the merchant of that name and the device did not
    profiles = dict(
        zip([p.key for p in online.request(events[0]).parts], again[0].profiles, strict=True)
    )
    assert all(not profile for key, profile in profiles.items() if ANN.encode() in key)
    assert any(profile for key, profile in profiles.items() if key.endswith(b":d1"))
    merchant = [
        p.key for p in online.request(named_alike).parts if p.key.endswith(b":" + ANN.encode())
    ]
    look = store.exchange(online.look({**named_alike, "transaction_id": "t9"}))
    keys = [part.key for part in online.request(named_alike).parts]
    assert merchant
    assert all(look.profiles[keys.index(key)] for key in merchant)
    store.close()


def test_a_journal_in_use_that_hands_nothing_over_is_told(
    url: str, records: Records, tmp_path: Path, secret: Path
) -> None:
    with DecisionLog(tmp_path / "journal") as journal:
        append(journal, payment("t1", ANN))
        config = EraseConfig(
            "fraud",
            (ANN,),
            url,
            journal=(tmp_path / "journal",),
            secret_file=secret,
            wait_seconds=0.0,
        )
        assert main(config, NOVEMBER) == INCOMPLETE
    assert main(config, NOVEMBER) == 0
    assert records.decision("fraud", "t1") is None
    assert ANN.encode() not in bytes_below(tmp_path / "journal")


def test_an_author_is_erased_and_the_audit_keeps_who_decided_when(
    url: str, records: Records, database: Database, tmp_path: Path, secret: Path
) -> None:
    shelf = MediaStore(str(tmp_path / "media"))
    own_key, shared, other_key = (
        shelf.keep(content) for content in (b"mine", b"shared", b"theirs")
    )
    for post, author, media in (("p1", ANN, (own_key, shared)), ("p2", BOB, (other_key, shared))):
        request = {
            "text": f"words of {author}",
            "media": {f"image{i}": m for i, m in enumerate(media)},
        }
        keep_decisions(
            records,
            [decision(post, system="moderation", entities={"author_id": author}, request=request)],
        )
    reviews = ReviewStore(url)
    contents = {
        "p1": {"text": f"words of {ANN}"},
        "p2": {"text": "other", "media": {"image": shared}},
    }
    reviews.admit([review_item(post, contents[post]) for post in contents], "routing")
    (first,) = reviews.claim("rita", 1, now=NOVEMBER, lease=10 * SECOND)
    reviews.decide(
        first.item_id,
        "rita",
        first.token,
        {"hate": True},
        now=NOVEMBER,
        note=ANN,
        next_step=close,
    )
    config = EraseConfig(
        "moderation", (ANN,), url, media=str(tmp_path / "media"), secret_file=secret, by="dpo"
    )
    assert main(config, NOVEMBER + SECOND) == 0
    assert ANN not in all_values(database)
    with database.reading() as connection:
        audit = (
            connection.execute(
                select(AUDIT).where(AUDIT.c.subject_id == "p1").order_by(AUDIT.c.number)
            )
            .mappings()
            .all()
        )
    entries = [(row["who"], row["what"], row["before"], row["after"]) for row in audit]
    assert ("rita", "decided", None, None) in entries
    assert entries[-1] == ("dpo", "erased", None, None)
    assert shelf.read(own_key) is None
    assert shelf.read(shared) == b"shared"  # an open review of Bob's shows it
    assert shelf.read(other_key) == b"theirs"
    assert [claim.item_id for claim in reviews.claim("rita", 9, now=NOVEMBER, lease=9)] == ["p2"]
    reviews.close()


def test_the_audit_refuses_every_other_change(url: str, database: Database) -> None:
    reviews = ReviewStore(url)
    reviews.admit([review_item("p1", {})], "routing")
    reviews.close()
    for change in (
        "UPDATE review_audit SET who = 'x'",
        "UPDATE review_audit SET before = NULL, at = 1",
        "UPDATE review_audit SET after = '{}'",
        "DELETE FROM review_audit",
    ):
        with pytest.raises(RecordsError, match="refused"), database.writing() as connection:
            connection.execute(text(change))


def test_a_customer_is_erased_from_health_interventions_and_plans(
    url: str, records: Records, database: Database, secret: Path
) -> None:
    health, book = HealthRepository(url), InterventionRepository(url)
    for name in (ANN, BOB):
        health.insert_entries([health_entry(0, customer_id=name)])
    plan = StoredPlan(
        id="p",
        planned_at=NOVEMBER,
        created_at=NOVEMBER,
        request={"customers": [ANN, BOB]},
        summary={"not_considered": {ANN: "held out", BOB: "too late"}},
    )
    book.insert_plan(plan, [intervention(n, customer_id=name) for n, name in enumerate((ANN, BOB))])
    book.insert_outcomes(
        [
            InterventionOutcome(
                intervention_id=f"p-{n}",
                kind="left",
                value=True,
                observed_at=NOVEMBER,
                received_at=NOVEMBER,
                note=f"called {name}",
            )
            for n, name in enumerate((ANN, BOB))
        ]
    )
    assert main(EraseConfig("churn", (ANN,), url, secret_file=secret), NOVEMBER) == 0
    assert ANN not in all_values(database)
    kept, chosen = book.find_plan("p")
    assert kept.request == {"customers": ["erased", BOB]}
    assert [intervention.customer_id for intervention in chosen] == [BOB]
    assert [outcome.intervention_id for outcome in book.list_outcomes()] == ["p-1"]
    assert len(health.list_entries(BOB)) == 1
    health.close()
    book.close()


def in_machines(path: Path, call: Callable[[SqliteMachines], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        store = SqliteMachines(path, 5.0)
        try:
            return await call(store)
        finally:
            await store.close()

    return asyncio.run(run())


@pytest.mark.parametrize("machine", ["pump-7", 'a "quoted" é'])
def test_a_machine_is_erased_from_orders_schedules_and_its_store(
    url: str, records: Records, database: Database, tmp_path: Path, secret: Path, machine: str
) -> None:
    path = tmp_path / "machines.sqlite"
    for name in (machine, "other"):
        assert in_machines(path, lambda store, name=name: store.write(name, b"memory", 0))
    orders = WorkOrderRepository(url)
    planned = schedule(
        "s", request={"machines": [machine, "other"]}, plan={"visits": [{"machine_id": machine}]}
    )
    work_orders = [
        work_order(f"s-{number}", "s", machine_id=name)
        for number, name in enumerate((machine, "other"))
    ]
    orders.insert_schedule(planned, work_orders)
    causes = {"causes": [{"segment": "machine_id", "value": name} for name in (machine, "other")]}
    incident = ObservedIncident(
        measure="score", kind="mean moved", since=0, opened_at=1, seen_at=1, detail=causes
    )
    with MonitoringRepository(url) as monitoring:
        for system in ("maintenance", "fraud"):
            monitoring.record(system, [], [incident], 1)
    config = EraseConfig(
        "maintenance",
        (machine,),
        url,
        secret_file=secret,
        profile_store=f"sqlite:///{tmp_path}/machines.sqlite",
    )
    assert main(config, NOVEMBER) == 0
    kept, left = orders.find_schedule("s")
    assert kept.request == {"machines": ["erased", "other"]}
    assert kept.plan == {"visits": [{"machine_id": "erased"}]}
    assert [order.machine_id for order in left] == ["other"]
    with MonitoringRepository(url) as monitoring:
        named = [
            [cause["value"] for cause in monitoring.open_incidents(system)[0].detail["causes"]]
            for system in ("maintenance", "fraud")
        ]
    assert named == [["erased", "other"], [machine, "other"]]
    assert in_machines(path, lambda store: store.read(machine)) == (None, 0)
    assert in_machines(path, lambda store: store.read("other")) == (b"memory", 1)
    orders.close()


def test_an_erasure_needs_a_secret_and_a_kind_that_the_system_has(
    url: str, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FOREWARN_ERASURE_SECRET", raising=False)
    with pytest.raises(RecordsError, match="FOREWARN_ERASURE_SECRET"):
        main(EraseConfig("fraud", (ANN,), url), NOVEMBER)
    monkeypatch.setenv("FOREWARN_ERASURE_SECRET", "short")
    with pytest.raises(RecordsError, match="16 bytes or more, got 5"):
        main(EraseConfig("fraud", (ANN,), url), NOVEMBER)
    with pytest.raises(RecordsError, match="expected one of user, device, merchant, got 'author'"):
        main(EraseConfig("fraud", (ANN,), url, kind="author"), NOVEMBER)
