"""The fraud part of the demonstration: train, fill the profiles, deploy, score payments."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa

from cluster.demo_loop import CHALLENGER, loop_steps
from cluster.demo_replay import DAYS, KeptBack
from cluster.demo_steps import Step, fields, refused
from cluster.demo_system import Application, System
from lib.contract import TIME
from lib.fraud.contracts import LABELS, TRANSACTIONS
from lib.fraud.simulation import Example
from lib.storage import open_storage, write_parquet

_MINOR = 100
_COLUMNS = {
    "HTTP": "{http}",
    "decision": "{decision}",
    "score": "{fraud_score:.4f}",
    "method": "{method}",
    "ms": "{latency_ms:.1f}",
}
_SIMULATION = {
    "simulating payments of {users} customers over {days} days": """
        simulate --output={folder}/data --users={users} --days={days} --seed={seed} --start={start}
        --fraud-share=0.02 --retry-share=0.002 --malformed-share=0.001""",
}
_JOBS = {
    "training through the Jobs API: features on Ray Data, trees and network on Ray": """
        train --transactions={folder}/known/transactions/simulated.parquet
        --labels={folder}/known/labels/simulated.parquet --output={folder}/training
        --registry={folder}/registry --alias=champion --quick --simulated --slices.train=40""",
}
_BACKFILL = {
    "filling the profile store with what is known so far": """
        backfill --transactions={folder}/known/transactions --labels={folder}/known/labels
        --profile-store=sqlite:///{folder}/profiles.sqlite""",
}


_SETTINGS = """
    profile_store=sqlite:///{folder}/profiles.sqlite front={replica} ensemble={replica}
    receipt_seconds=2592000"""


def prepare(system: System, users: int, days: int, seed: int, kept: KeptBack) -> Iterator[Step]:
    """Simulates payments, keeps some back, and trains on the others; files go to the folder."""
    start = (kept.since - timedelta(days=days)).date()
    values = {"users": users, "days": days + DAYS, "seed": seed, "start": start}
    yield from system.jobs(_SIMULATION, **values)
    kept.split()
    yield from system.jobs(_JOBS)
    yield from system.jobs(CHALLENGER)


def backfill(system: System, stories: Sequence[Example]) -> Iterator[Step]:
    """Fills the profile store with the history of the payments that will be sent."""
    known = open_storage(system.folder / "known")
    write_parquet(_payments(stories), known, "transactions/stories.parquet")
    labels = [label for story in stories for label in story.labels]
    write_parquet(_table(labels, LABELS.schema), known, "labels/stories.parquet")
    return system.jobs(_BACKFILL)


def show(system: System, stories: Sequence[Example], kept: KeptBack) -> Application:
    """Deploys the application, sends payments and goes through the loop; Serve's proxy runs."""
    app = system.deploy(
        _SETTINGS,
        scopes=("score", "label", "read"),
        deadline_ms=None,
    )
    title = f"sending payments to {app.url}/score_transaction"
    system.runner.tabulate(title, _requests(app, stories), "payment", _COLUMNS)
    system.runner.run(loop_steps(system, app, kept))
    system.close(app, "models    {path}/registry")
    example = json.dumps({"transaction_id": "t1", "...": "..."})
    print(f"try: curl -H 'Authorization: Bearer {app.key}'")
    print(f"     -H 'Content-Type: application/json' -d '{example}' {app.url}/score_transaction")
    return app


def _requests(app: Application, stories: Sequence[Example]) -> Iterator[Step]:
    """One payment of each story, a retry, malformed ones, and one without a key."""
    path, good = "/score_transaction", stories[0].request
    # no rule sees the quiet takeover; the model has to stop it
    expected: dict[str, dict[str, Any]] = {
        "good": {"decision": "APPROVE", "method": "model"},
        "quiet takeover": {"decision": ("DECLINE", "REVIEW"), "method": "model"},
    }
    for story in stories:
        name = story.name.replace("_", " ")
        answer = expected.get(name, {"decision": ("DECLINE", "REVIEW")})
        yield app.ask(name, path, story.request, fields(**answer))
    score = app.answers["good"].get("fraud_score")
    yield app.ask("the good one again (retry)", path, good, fields(fraud_score=score))
    for name, wrong in {
        "malformed: negative amount": {"amount": "-5.00"},
        "malformed: time without zone": {"event_time": good["event_time"].rstrip("Z")},
        "malformed: latitude 200": {"latitude": 200.0},
        "malformed: unknown field": {"amout": "5.00"},
    }.items():
        payment = {**good, **wrong, "transaction_id": f"{name}-1"}
        yield app.ask(name, path, payment, refused)
    yield app.wrong_key(path, good)


def _payments(stories: Sequence[Example]) -> pa.Table:
    """The stories' histories as a table of our contract."""
    declined = {name for story in stories for name in story.declined}
    rows = [
        {**request, "amount_minor": round(float(request["amount"]) * _MINOR)}
        for story in stories
        for request in story.history
    ]
    for row in rows:
        if row["transaction_id"] in declined:
            row["declined_from"] = row["event_time"]
    return _table(rows, TRANSACTIONS.schema)


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table whose times come as ISO 8601 text."""
    plain = [(field.name, pa.string() if field.type == TIME else field.type) for field in schema]
    return pa.Table.from_pylist(rows, pa.schema(plain)).cast(schema)
