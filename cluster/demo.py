"""The whole product on one machine: train, deploy, decide.

Starts a local Ray head with a token, submits the training jobs of every system through Ray's Jobs
API on simulated data, deploys the applications on Ray Serve, asks them over HTTP, prints what was
decided, and ends what it started.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import tyro

from cluster import demo_churn, demo_maintenance, demo_moderation
from cluster.demo_steps import deploy, must, new_key, start_serve, table
from cluster.local import ROOT, LocalHead, local_head
from lib.contract import TIME
from lib.durable import make_folder
from lib.fraud.contracts import LABELS, TRANSACTIONS
from lib.fraud.simulation import Example, scenario_examples
from lib.storage import open_storage, write_parquet

_MINOR = 100


@dataclass(frozen=True)
class Demo:
    """Train, deploy and score on this machine; everything is written below FOLDER."""

    folder: Path = Path("var/demo")
    """Where data, models, reports, logs and stores go; emptied first."""
    users: int = 1500
    """Simulated customers."""
    days: int = 60
    """Simulated days."""
    machines: int = 40
    """Simulated machines."""
    accounts: int = 500
    """Simulated business customers."""
    posts: int = 1200
    """Composed posts."""
    seed: int = 7
    """The same seed simulates the same payments."""
    cpus: int = 2
    """Logical cores that the Ray head offers."""
    port: int | None = None
    """Port of the service on 127.0.0.1; a free one if not given."""
    keep_running: bool = False
    """Leave the service up after the demonstration, until Ctrl-C."""


@dataclass(frozen=True)
class _Sent:
    """One request and its answer, for the table."""

    what: str
    status: int
    body: dict[str, Any]

    def row(self) -> tuple[str, ...]:
        """Columns of the table that people read."""
        decision = self.body.get("decision", "-")
        score = self.body.get("fraud_score")
        why = self.body.get("reason") or self.body.get("detail") or ""
        return (
            self.what,
            str(self.status),
            decision,
            "-" if score is None else f"{score:.4f}",
            self.body.get("method", "-"),
            "-" if "latency_ms" not in self.body else f"{self.body['latency_ms']:.1f}",
            why if len(why) <= 76 else why[:75] + "…",
        )


HEADER = ("payment", "HTTP", "decision", "score", "method", "ms", "why")


def main(options: Demo) -> int:
    """Run the demonstration; 0 when every step went well."""
    started = time.monotonic()
    folder = (ROOT / options.folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)

    def say(message: str) -> None:
        print(f"\n[{time.monotonic() - started:5.0f} s] {message}", flush=True)

    say("starting a Ray head with a token on 127.0.0.1")
    with local_head(folder / "log" / "ray.log", options.cpus, options.port) as head:
        print(f"dashboard {head.dashboard} (asks for the token)")
        _train(head, folder, options, say)
        stories = scenario_examples(options.seed, time.time_ns() // 1000)
        say("filling the profile store with the stories' history")
        _backfill(head, folder, stories)
        # before Serve holds cores that the workers of a training would wait for
        demo_maintenance.prepare(head, folder / "maintenance", options.machines, say)
        demo_churn.prepare(head, folder / "churn", options.accounts, say)
        demo_moderation.prepare(head, folder / "moderation", options.posts, say)
        say("deploying the fraud application on Ray Serve")
        start_serve(head, folder / "log" / "serve.log")
        url, key = _deploy(head, folder)
        say(f"sending payments to {url}/score_transaction")
        sent = _send_all(url, key, stories)
        print(table([HEADER, *(response.row() for response in sent)]))
        _closing(folder, url, key)
        others = {
            "maintenance": demo_maintenance.show(head, folder / "maintenance", say),
            "churn": demo_churn.show(head, folder / "churn", say),
            "moderation": demo_moderation.show(head, folder / "moderation", say),
        }
        print(f"\ntook {time.monotonic() - started:.0f} s")
        if options.keep_running:
            _stay(", ".join([url, *(result.url for result in others.values())]))
    if not _as_expected(sent):
        print(
            "\nerror: not every payment was decided as expected; see the table above",
            file=sys.stderr,
        )
        return 1
    faults = [f"{system}: {text}" for system, result in others.items() for text in result.faults]
    for fault in faults:
        print(f"\nerror: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _train(head: LocalHead, folder: Path, options: Demo, say: Callable[[str], None]) -> None:
    data, jobs = folder / "data", ["python", "-m"]
    say(f"simulating payments of {options.users} customers over {options.days} days")
    must(
        head.submit(
            *jobs,
            "jobs.fraud.simulate",
            f"--output={data}",
            f"--users={options.users}",
            f"--days={options.days}",
            f"--seed={options.seed}",
            "--retry-share=0.002",
            "--malformed-share=0.001",
        ),
        "the simulation",
    )
    say("training through the Jobs API: features on Ray Data, trees and network on Ray")
    must(
        head.submit(
            *jobs,
            "jobs.fraud.train",
            f"--transactions={data / 'transactions.parquet'}",
            f"--labels={data / 'labels.parquet'}",
            f"--output={folder / 'training'}",
            f"--registry={folder / 'registry'}",
            "--alias=champion",
            "--quick",
            "--simulated",
        ),
        "the training job",
    )


def _backfill(head: LocalHead, folder: Path, stories: Sequence[Example]) -> None:
    history = open_storage(folder / "history")
    transactions = write_parquet(_payments(stories), history, "transactions.parquet")
    labels = write_parquet(_labels(stories), history, "labels.parquet")
    must(
        head.run(
            sys.executable,
            "-m",
            "jobs.fraud.backfill",
            f"--transactions={transactions}",
            f"--labels={labels}",
            f"--profile-store=sqlite:///{folder / 'profiles.sqlite'}",
        ),
        "the backfill",
    )


def _payments(stories: Sequence[Example]) -> pa.Table:
    """The stories' histories as a table of our contract."""
    refused = {name for story in stories for name in story.declined}
    rows = [
        {
            **{column.name: request.get(column.name) for column in TRANSACTIONS.columns},
            "event_time": request["event_time"],
            "received_at": None,
            "amount_minor": round(float(request["amount"]) * _MINOR),
            "declined_from": request["event_time"]
            if request["transaction_id"] in refused
            else None,
        }
        for story in stories
        for request in story.history
    ]
    return _table_of(rows, TRANSACTIONS.schema)


def _labels(stories: Sequence[Example]) -> pa.Table:
    rows = [
        {column.name: label.get(column.name) for column in LABELS.columns}
        for story in stories
        for label in story.labels
    ]
    return _table_of(rows, LABELS.schema)


def _table_of(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table whose times come as ISO 8601 text."""
    columns = {}
    for field in schema:
        values = [row[field.name] for row in rows]
        is_time = field.type == TIME
        columns[field.name] = pa.array(values, pa.string() if is_time else field.type)
        if is_time:
            columns[field.name] = columns[field.name].cast(field.type)
    return pa.table(columns)


def _deploy(head: LocalHead, folder: Path) -> tuple[str, str]:
    """Deploys the application; returns its URL and an API key."""
    keys = folder / "keys.json"
    key = new_key(head, keys, ("fraud:score", "fraud:label", "fraud:read"))
    arguments = {
        "registry": folder / "registry",
        "profile_store": f"sqlite:///{folder / 'profiles.sqlite'}",
        "records": f"sqlite:///{folder / 'records.sqlite'}",
        "journal": folder / "journal",
        "models": folder / "models",
        "api_keys": keys,
        "log": folder / "log" / "decisions.jsonl",
        # one of each is enough to look at; production keeps two
        "front": json.dumps({"min": 1, "cpus": 0.25}),
        "ensemble": json.dumps({"min": 1, "cpus": 0.25}),
    }
    return deploy(head, "fraud", arguments, folder / "log" / "serve.log"), key


def _send_all(url: str, key: str, stories: Sequence[Example]) -> list[_Sent]:
    """One payment of each story, a retry, malformed ones, and one without a key."""
    good = stories[0].request
    bad = {
        "malformed: negative amount": {**good, "amount": "-5.00"},
        "malformed: time without zone": {**good, "event_time": good["event_time"].rstrip("Z")},
        "malformed: latitude 200": {**good, "latitude": 200.0},
        "malformed: unknown field": {**good, "amout": "5.00"},
    }
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:

        def send(label: str, payment: dict[str, Any], **options: Any) -> _Sent:
            answer = client.post(f"{url}/score_transaction", json=payment, **options)
            return _Sent(label, answer.status_code, answer.json())

        sent = [send(story.name.replace("_", " "), story.request) for story in stories]
        sent.append(send("the good one again (retry)", good))
        for case_label, payment in bad.items():
            sent.append(send(case_label, {**payment, "transaction_id": f"{case_label}-1"}))
        no_key = {"Authorization": "Bearer fw_nobody_nothing"}
        sent.append(send("with a wrong key", good, headers=no_key))
        return sent


def _as_expected(sent: Sequence[_Sent]) -> bool:
    """The model lets the good payment pass, every fraud is stopped, a retry changes nothing.

    The quiet takeover is the model's to stop: no rule sees it.
    """
    by_name = {response.what: response for response in sent}
    good, retry = by_name["good"], by_name["the good one again (retry)"]
    frauds = sent[1 : list(by_name).index(retry.what)]
    malformed = [response for response in sent if response.what.startswith("malformed")]
    return (
        good.body.get("decision") == "APPROVE"
        and good.body.get("method") == "model"
        and all(response.body.get("decision") in {"DECLINE", "REVIEW"} for response in frauds)
        and by_name["quiet takeover"].body.get("method") == "model"
        and retry.body.get("fraud_score") == good.body.get("fraud_score")
        and all(response.status == 422 for response in malformed)
        and by_name["with a wrong key"].status == 401
    )


def _closing(folder: Path, url: str, key: str) -> None:
    relative_path = os.path.relpath(folder, ROOT)
    print(f"\nreport    {relative_path}/training/report.html (and report.json)")
    print(f"models    {relative_path}/registry")
    print(f"decisions {relative_path}/records.sqlite, log {relative_path}/log/decisions.jsonl")
    example = json.dumps({"transaction_id": "t1", "...": "..."})
    print(
        f"\nURL {url}\nkey {key}\nAPI page {url}/docs\ntry: curl -H 'Authorization: Bearer {key}'"
    )
    print(f"     -H 'Content-Type: application/json' -d '{example}' {url}/score_transaction")


def _stay(url: str) -> None:
    print(f"\nserving at {url} until Ctrl-C", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\nending")


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Demo)))
    except RuntimeError as problem:
        raise SystemExit(f"error: {problem}") from problem
