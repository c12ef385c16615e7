"""A demonstration runs its steps in order, shows results, and stops at what is not as expected."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from cluster import demo_churn, demo_fraud, demo_moderation
from cluster.demo_steps import Runner, Step, fields, holds, refused, success
from cluster.demo_system import Application, System
from lib.fraud.contracts import LABELS, TRANSACTIONS
from lib.fraud.simulation import scenario_examples


class FakeHead:
    """A head that notes the jobs submitted to it."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.submitted: list[tuple[str, ...]] = []

    def submit(self, *command: str) -> int:
        self.submitted.append(command)
        return self.status


def system(name: str, head: FakeHead, folder: Path) -> System:
    return System(name, head, folder, Runner())  # type: ignore[arg-type]


def application(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[int, Any]]
) -> Application:
    """An application that answers from a table by path, and refuses keys that are not `key`."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.headers["Authorization"] != "Bearer key":
            return httpx.Response(401, json={"detail": "no such key"})
        status, body = answers[request.url.path]
        return httpx.Response(status, json=body)

    client = partial(httpx.Client, transport=httpx.MockTransport(handle))
    monkeypatch.setattr(httpx, "Client", client)
    return Application("http://service", "key")


def test_steps_run_one_after_the_other_and_show_what_they_did(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [
        Step("first", lambda: 1, holds(lambda n: n == 1, "no"), "result {}".format),
        Step("second", lambda: 2, holds(lambda n: n == 2, "no")),
    ]
    Runner().run(steps)
    printed = capsys.readouterr().out
    assert printed.index("s] first") < printed.index("result 1") < printed.index("s] second")
    assert "result 2" not in printed


def test_the_first_fault_stops_with_the_step_the_fault_and_the_result() -> None:
    later: list[int] = []
    steps = [
        Step("asking", lambda: {"decision": "DECLINE"}, fields(decision="APPROVE")),
        Step("later", lambda: later.append(1), lambda _: ""),
    ]
    with pytest.raises(SystemExit) as stopped:
        Runner().run(steps)
    text = str(stopped.value)
    assert text.startswith("error: asking: decision is 'DECLINE' instead of 'APPROVE'")
    assert "the result is {'decision': 'DECLINE'}" in text
    assert not later


def test_a_result_without_what_is_checked_is_a_fault_too() -> None:
    step = Step("asking", lambda: {}, holds(lambda answer: answer["hits"] != [], "no hits"))
    with pytest.raises(SystemExit, match="asking: the result lacks what is checked"):
        Runner().run([step])


def test_a_table_has_a_row_of_every_request_before_it_stops_at_all_faults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(
        monkeypatch,
        {
            "/score": (200, {"decision": "APPROVE", "risk": {"7d": 0.25}, "reason": "fine"}),
            "/events": (422, {"detail": "bad"}),
        },
    )
    steps = [
        app.ask("good", "/score", {}, fields(decision=("APPROVE", "REVIEW"))),
        app.ask("wrongly refused", "/events", {}, success),
        app.ask("wrongly accepted", "/score", {}, refused),
        app.wrong_key("/score", {}),
    ]
    columns = {"HTTP": "{http}", "decision": "{decision}", "risk": "{risk[7d]:.1%}"}
    with pytest.raises(SystemExit) as stopped:
        Runner().tabulate("asking", steps, "request", columns)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["request", "HTTP", "decision", "risk", "why"] in rows
    assert ["good", "200", "APPROVE", "25.0%", "fine"] in rows
    assert ["wrongly", "refused", "422", "-", "-", "bad"] in rows
    assert ["with", "a", "wrong", "key", "401", "-", "-", "no", "such", "key"] in rows
    assert [line.split(":")[1] for line in str(stopped.value).splitlines()] == [
        " wrongly refused",
        " wrongly accepted",
    ]
    assert app.answers["good"]["http"] == 200


def test_a_job_that_fails_ends_the_demonstration(tmp_path: Path) -> None:
    head = FakeHead(status=3)
    jobs = system("churn", head, tmp_path).jobs({"planning": "plan --hours=1"})
    with pytest.raises(SystemExit, match="planning: the exit status is not 0; the result is 3"):
        Runner().run(jobs)


@pytest.mark.parametrize("module", [demo_churn, demo_moderation])
def test_values_with_blanks_stay_one_word_of_a_job(module: Any, tmp_path: Path) -> None:
    name, head = module.__name__.rpartition("_")[2], FakeHead()
    folder = tmp_path / "of a user"
    Runner().run(module.prepare(system(name, head, folder), 7))
    (train,) = [command for command in head.submitted if command[2] == f"jobs.{name}.train"]
    assert f"--output={folder}/training" in train
    assert any(word.startswith("--source=") and " " in word for word in train)
    assert not any("{" in word for command in head.submitted for word in command)


def test_the_history_of_the_stories_is_what_the_backfill_reads(tmp_path: Path) -> None:
    head, stories = FakeHead(), scenario_examples(7, 1_800_000_000_000_000)
    Runner().run(demo_fraud.backfill(system("fraud", head, tmp_path), stories))
    (command,) = head.submitted
    folders = [Path(word.partition("=")[2]) for word in command if "/known/" in word]
    assert [folder.name for folder in folders] == ["transactions", "labels"]
    tables = [pq.read_table(folder / "stories.parquet") for folder in folders]
    assert [table.schema for table in tables] == [TRANSACTIONS.schema, LABELS.schema]
    assert tables[0].num_rows == sum(len(story.history) for story in stories) > 0
    assert tables[0]["declined_from"].null_count < tables[0].num_rows
