"""The learning loop of the demonstration: what is kept back, sent again, and asked of the jobs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cluster.demo_loop import loop_steps
from cluster.demo_replay import DAYS, RIPE_DAYS, KeptBack
from cluster.demo_steps import Runner
from cluster.demo_system import Application, System
from jobs.experiments.judge import JudgeConfig
from jobs.experiments.start import StartConfig
from jobs.experiments.stop import StopConfig
from jobs.framework.options import read_options
from jobs.fraud.business import FraudBusinessConfig
from jobs.fraud.monitor import Options as MonitorOptions
from lib.fraud.simulation import SimulationConfig, simulate

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
JOBS = {
    "jobs.experiments.start": StartConfig,
    "jobs.experiments.stop": StopConfig,
    "jobs.experiments.judge": JudgeConfig,
    "jobs.fraud.monitor": MonitorOptions,
    "jobs.fraud.business": FraudBusinessConfig,
}


class Service(Application):
    """An application that accepts everything, and keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def post(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        self.sent.append((path, body))
        return {"http": 200, "decision": "APPROVE"}

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        return {"http": 200, "parts": {"experiment": {"challenger_state": "ready"}}}


class Head:
    """A head whose commands end as those of the loop do."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, ...]] = []

    def capture(self, *command: str) -> CompletedProcess[str]:
        self.commands.append(command[2:])
        printed = "reading\nINCIDENT: sender\n    since\nthe challenger keeps it\npage: here\n"
        return CompletedProcess(command, 3 if command[2].endswith(".monitor") else 0, printed, "")


@pytest.fixture
def kept(tmp_path: Path) -> KeptBack:
    """Ten days of payments, of which the last seven are kept back."""
    kept_back = KeptBack.until_ripe(tmp_path, NOW)
    start = (kept_back.since - timedelta(days=3)).date().isoformat()
    config = SimulationConfig(
        users=50, days=10, start=start, fraud_share=0.03, malformed_share=0.01
    )
    simulate(config, 7).write(tmp_path / "data")
    kept_back.split()
    return kept_back


def test_the_days_end_where_outcomes_are_final(kept: KeptBack) -> None:
    assert kept.day(DAYS) == datetime(2026, 3, 31, tzinfo=UTC) - timedelta(days=RIPE_DAYS)


def test_nothing_of_the_days_is_known_to_the_training(kept: KeptBack) -> None:
    def read(name: str) -> Any:
        return pq.read_table(kept.folder / f"{name}.parquet")

    known, live = read("known/transactions/simulated"), read("live/transactions")
    assert pc.max(known["event_time"]).as_py() < kept.since <= pc.min(live["event_time"]).as_py()
    assert pc.max(read("known/labels/simulated")["observed_at"]).as_py() < kept.since
    about = set(read("live/labels")["transaction_id"].to_pylist())
    assert about
    assert about <= set(live["transaction_id"].to_pylist())
    assert known.num_rows + live.num_rows > 0.9 * read("data/transactions").num_rows


def test_payments_are_sent_day_by_day_each_users_in_order_and_then_labels(kept: KeptBack) -> None:
    service = Service()
    decisions = kept.send(service, 0, 2, with_place=True)
    payments = [body for path, body in service.sent if path == "/score_transaction"]
    assert decisions == Counter(APPROVE=len(payments))
    per_user: dict[str, list[str]] = {}
    for body in payments:
        per_user.setdefault(body["user_id"], []).append(body["event_time"])
    assert all(times == sorted(times) for times in per_user.values())
    assert {datetime.fromisoformat(body["event_time"]).date() for body in payments} == {
        kept.day(0).date(),
        kept.day(1).date(),
    }
    labels = [label for path, body in service.sent if path == "/labels" for label in body]
    assert all(datetime.fromisoformat(row["observed_at"]) < datetime.now(UTC) for row in labels)
    assert any("latitude" in body for body in payments)
    service.sent.clear()
    kept.send(service, 2, 3, with_place=False)
    assert not any("latitude" in body for path, body in service.sent if path != "/labels")


def test_a_payment_that_is_refused_ends_the_demonstration(
    kept: KeptBack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Service, "post", lambda *_, **__: {"http": 422, "detail": "bad"})
    with pytest.raises(RuntimeError, match=r"refused what was sent again: .*bad"):
        kept.send(Service(), 0, 1, with_place=True)


def test_commands_of_the_loop_are_commands_of_the_jobs(
    kept: KeptBack, capsys: pytest.CaptureFixture[str]
) -> None:
    head = Head()
    system = System("fraud", head, kept.folder, Runner(), kept.folder / "log")  # type: ignore[arg-type]
    Runner().run(loop_steps(system, Service(), kept))
    assert [module for module, *_ in head.commands] == list(JOBS)
    for module, *options in head.commands:
        read_options(JOBS[module], options)
    printed = capsys.readouterr().out
    assert "INCIDENT: sender\n              since" in printed
    assert "the challenger keeps it\n" in printed
    assert "reading" not in printed
