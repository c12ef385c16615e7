"""A demonstration runs its steps in order, shows results, and stops at what is not as expected."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import yaml

from cluster import demo_churn, demo_fraud, demo_moderation
from cluster.demo_index import IndexPage
from cluster.demo_lanes import run_in_lanes
from cluster.demo_pipeline import DemoJob, Submission
from cluster.demo_steps import Runner, Step, fields, holds, refused, success
from cluster.demo_system import Application, System
from jobs.framework.options import read_options
from jobs.pipeline.steps import read_steps
from lib.fraud.contracts import LABELS, TRANSACTIONS
from lib.fraud.simulation import scenario_examples
from tests.jobs.entries import options_of


class FakeHead:
    """A head that notes the jobs submitted to it, and runs a script in their place."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.submitted: list[tuple[str, ...]] = []

    def submit(self, *command: str) -> subprocess.Popen[str]:
        self.submitted.append(command)
        file = next(word.partition("=")[2] for word in command if word.startswith("--steps="))
        names = [step["name"] for step in yaml.safe_load(Path(file).read_text())["steps"]]
        lines = ["INFO a line of Ray"]
        for name in names[: 1 if self.status else None]:
            lines += [f"{name}: started; log x", f"{name}: exit {self.status} after 3.2 s"]
        script = f"print({chr(10).join(lines)!r}); raise SystemExit({self.status})"
        return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def system(name: str, head: FakeHead, folder: Path) -> System:
    logs = folder / "log" / name
    return System(name, head, folder, Runner(name), logs)  # type: ignore[arg-type]


def steps_of(folder: Path) -> dict[str, list[str]]:
    """The words of each step of a pipeline, by its name."""
    steps = yaml.safe_load((folder / "pipeline.yaml").read_text())["steps"]
    return {step["name"]: [step["job"], *step["options"]] for step in steps}


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


JOBS = [
    DemoJob("score", "scoring everybody", 4, "score --output={folder}/scores"),
    DemoJob("plan", "planning", 2, "plan --hours={hours} --note={note}"),
]


def test_jobs_are_steps_of_a_single_submission_and_show_their_progress(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = FakeHead()
    system("churn", head, tmp_path).submit(JOBS, hours=3, note="of a user").wait()
    ((*_, module, _, log),) = head.submitted
    assert module == "jobs.pipeline.run"
    assert steps_of(tmp_path)["plan"] == ["churn.plan", "--hours=3", "--note=of a user"]
    assert read_steps(tmp_path / "pipeline.yaml")[0].seconds == 4
    printed = capsys.readouterr().out
    assert "s] churn       scoring everybody (about 4 s)\n" in printed
    assert "churn       plan: exit 0 after 3 s\n" in printed
    assert "INFO" not in printed
    assert "INFO a line of Ray\n" in (tmp_path / "log/churn/job.log").read_text()
    assert log == f"--log={tmp_path}/log/churn"


def test_a_step_can_be_waited_for_while_later_ones_run(tmp_path: Path) -> None:
    script = "print('score: exit 0 after 1.0 s', flush=True); import sys; sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    submission = Submission(process, JOBS, Runner(), tmp_path / "job.log")
    submission.wait("score")
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    with pytest.raises(SystemExit, match="ended with 0"):
        submission.wait()  # the job says nothing of its second step


def test_a_job_that_fails_ends_the_demonstration(tmp_path: Path) -> None:
    submission = system("churn", FakeHead(status=3), tmp_path).submit(JOBS, hours=1, note="")
    message = r"error: the job of churn ended with 3; its log is .*/job.log(.|\n)*score: exit 3"
    for name in ("score", "plan", None):
        with pytest.raises(SystemExit, match=message):
            submission.wait(name)


@pytest.mark.parametrize("module", [demo_churn, demo_moderation])
def test_values_with_blanks_stay_one_word_of_a_job(module: Any, tmp_path: Path) -> None:
    name, folder = module.__name__.rpartition("_")[2], tmp_path / "of a user"
    module.prepare(system(name, FakeHead(), folder), 7)
    words = steps_of(folder)
    assert f"--output={folder}/training" in words["train"]
    assert any(word.startswith("--source=") and " " in word for word in words["train"])
    assert not any("{" in word for step in words.values() for word in step)


@pytest.mark.parametrize("module", [demo_churn, demo_moderation])
def test_commands_of_the_pipeline_are_commands_of_the_jobs(module: Any, tmp_path: Path) -> None:
    module.prepare(system(module.__name__.rpartition("_")[2], FakeHead(), tmp_path), 7)
    for step in read_steps(tmp_path / "pipeline.yaml"):
        entry = importlib.import_module(f"jobs.{step.job}")
        (kind,) = options_of(entry)
        read_options(kind, step.options)


def test_the_history_of_the_stories_is_what_the_backfill_reads(tmp_path: Path) -> None:
    stories = scenario_examples(7, 1_800_000_000_000_000)
    demo_fraud.write_stories(tmp_path, stories)
    tables = [
        pq.read_table(tmp_path / f"known/{name}/stories.parquet")
        for name in ("transactions", "labels")
    ]
    assert [table.schema for table in tables] == [TRANSACTIONS.schema, LABELS.schema]
    assert tables[0].num_rows == sum(len(story.history) for story in stories) > 0
    assert tables[0]["declined_from"].null_count < tables[0].num_rows


def test_lanes_run_works_in_order_two_at_a_time() -> None:
    first_two, done = threading.Barrier(2, timeout=20), list[str]()

    def together(name: str) -> None:
        first_two.wait()
        done.append(name)

    works = [partial(together, "a"), partial(together, "b"), partial(done.append, "c")]
    run_in_lanes(works, 2)
    assert sorted(done) == ["a", "b", "c"]


def test_a_fault_in_a_lane_ends_the_wait_for_the_others() -> None:
    never = threading.Event()

    def fail() -> None:
        raise SystemExit("error: planning")

    with pytest.raises(SystemExit, match="error: planning"):
        run_in_lanes([never.wait, fail], 2)  # type: ignore[list-item]


def test_the_page_links_what_is_there_and_what_answers(tmp_path: Path) -> None:
    page = IndexPage(tmp_path, "http://127.0.0.1:1")
    for name in ("training/report.html", "log/fraud/train.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    page.add("fraud", "http://127.0.0.1:2/fraud")
    text = page.file.read_text()
    targets = re.findall(r'href="([^"]+)"', text)
    assert targets == [
        "http://127.0.0.1:1",
        "http://127.0.0.1:2/fraud/docs",
        "training/report.html",
        "log/fraud/train.log",
    ]
    page.add("console", "http://127.0.0.1:2/console")
    assert 'href="http://127.0.0.1:2/console/"' in page.file.read_text()
