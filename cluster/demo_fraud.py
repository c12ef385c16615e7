"""The fraud part of the demonstration: train, fill the profiles, deploy, score payments."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from cluster.demo_loop import CHALLENGER, loop_steps
from cluster.demo_pipeline import DemoJob, Submission
from cluster.demo_replay import DAYS, KeptBack
from cluster.demo_steps import Step, fields, holds, refused
from cluster.demo_system import Application, System
from lib.contract import TIME
from lib.fraud.contracts import LABELS, TRANSACTIONS
from lib.fraud.simulation import Example, scenario_examples
from lib.storage import open_storage, write_parquet

_MINOR = 100
_COLUMNS = {
    "HTTP": "{http}",
    "decision": "{decision}",
    "score": "{fraud_score:.4f}",
    "method": "{method}",
    "ms": "{latency_ms:.1f}",
}
_SIMULATION = """
    fraud.simulate --output={folder}/data --users={users} --days={days} --seed={seed}
    --start={start} --fraud-share=0.02 --retry-share=0.002 --malformed-share=0.001"""
_JOBS = (
    DemoJob(
        "train",
        "training: features on Ray Data; trees and network in the driver, as rows are few",
        50,
        """train --transactions={folder}/known/transactions/simulated.parquet
        --labels={folder}/known/labels/simulated.parquet --output={folder}/training
        --registry={folder}/registry --alias=champion --quick --simulated --slices.train=40
        --engine=process""",
    ),
    DemoJob(
        "backfill",
        "filling the profile store with what is known so far",
        25,
        """backfill --transactions={folder}/known/transactions --labels={folder}/known/labels
        --profile-store=sqlite:///{folder}/profiles.sqlite""",
    ),
    CHALLENGER,
)
_SETTINGS = """
    profile_store=sqlite:///{folder}/profiles.sqlite front={replica}
    receipt_seconds=2592000"""


@dataclass(frozen=True)
class Prepared:
    """What the application is deployed with: stories to send, and the jobs that still run."""

    stories: Sequence[Example]
    submission: Submission


def prepare(system: System, users: int, days: int, seed: int, kept: KeptBack) -> Prepared:
    """Simulates payments, keeps some back, and submits the jobs; until the model can be served.

    The challenger is trained meanwhile; files go to the system's folder.
    """
    start = (kept.since - timedelta(days=days)).date()
    values = {"users": users, "days": days + DAYS, "seed": seed, "start": start}
    title = f"simulating payments of {users} customers over {days + DAYS} days"
    simulation = partial(system.command, _SIMULATION, **values)
    ended = holds(lambda done: done.returncode == 0, "the simulation failed")
    system.runner.run([Step(title, simulation, ended, seconds=4)])
    kept.split()
    stories = scenario_examples(seed, time.time_ns() // 1000)
    write_stories(system.folder, stories)
    submission = system.submit(_JOBS, gives_way=False)
    submission.wait("backfill")
    return Prepared(stories, submission)


def write_stories(folder: Path, stories: Sequence[Example]) -> None:
    """Writes the history of the payments that will be sent, for the profile store."""
    known = open_storage(folder / "known")
    write_parquet(_payments(stories), known, "transactions/stories.parquet")
    labels = [label for story in stories for label in story.labels]
    write_parquet(_table(labels, LABELS.schema), known, "labels/stories.parquet")


def show(system: System, prepared: Prepared, kept: KeptBack) -> Application:
    """Deploys the application, sends payments and goes through the loop."""
    app = system.deploy(
        _SETTINGS,
        scopes=("score", "label", "read"),
        deadline_ms=None,
    )
    title = f"sending payments to {app.url}/score_transaction"
    system.runner.tabulate(title, _requests(app, prepared.stories), "payment", _COLUMNS)
    system.shown.set()
    prepared.submission.wait()
    system.runner.run(loop_steps(system, app, kept))
    system.close(app, "models    {path}/registry")
    example = json.dumps({"transaction_id": "t1", "...": "..."})
    system.runner.print(
        f"try: curl -H 'Authorization: Bearer {app.key}'\n"
        f"     -H 'Content-Type: application/json' -d '{example}' {app.url}/score_transaction"
    )
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
