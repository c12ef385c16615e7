"""One system in a demonstration: its jobs, its application, and requests to it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from cluster.demo_pipeline import DemoJob, Submission
from cluster.demo_steps import Answer, Runner, Step, fields
from cluster.local import ROOT, LocalHead, program

_READY_SECONDS = 120.0
_TURN_SECONDS = 900.0
_DEPLOY_SECONDS = 15.0
# training gives way to what answers requests
_NICE = ("nice", "-n", "10")
_SCOPES = ("score", "label", "review", "read")
_SETTINGS = """
    registry={folder}/registry models={folder}/models journal={folder}/journal
    records=sqlite:///{folder}/records.sqlite
    api_keys={folder}/keys.json log={folder}/log/decisions.jsonl
"""
_CLOSING = """\
report    {path}/training/report.html (and report.json)
{more}
records   {path}/records.sqlite, log {path}/log/decisions.jsonl
URL {url}
key {key}
API page {url}/docs"""


@dataclass(frozen=True)
class System:
    """One system's part of a demonstration: its jobs and its application; files go to `folder`.

    Commands and settings are texts of words; `{folder}` and other values stand in braces.

    Attributes:
        name: of the system.
        head: that runs.
        folder: for its files.
        runner: of its steps.
        logs: folder for what its jobs and its deployment print.
        turn: set when its application may be deployed: Ray Serve has started, and where fraud is
            shown too, its first payments are decided.
        shown: set when its first requests are answered.
    """

    name: str
    head: LocalHead
    folder: Path
    runner: Runner
    logs: Path
    turn: threading.Event = field(default_factory=threading.Event)
    shown: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for folder in (self.folder / "log", self.logs):
            folder.mkdir(parents=True, exist_ok=True)

    def submit(
        self, jobs: Sequence[DemoJob], gives_way: bool = True, **values: object
    ) -> Submission:
        """Submits jobs of this system through Ray's Jobs API, as steps of one pipeline.

        Args:
            jobs: in order.
            gives_way: whether they leave the cores to what answers requests.
            values: for their commands.
        """
        filled = {"folder": self.folder, **values}
        steps = [job.step(self.name, filled) for job in jobs]
        file = self.folder / "pipeline.yaml"
        file.write_text(yaml.safe_dump({"steps": steps}, sort_keys=False, width=100))
        options = (f"--steps={file}", f"--log={self.logs}")
        words = ("python", "-m", "jobs.pipeline.run", *options)
        process = self.head.submit(*(_NICE if gives_way else ()), *words)
        self.runner.say("submitting its jobs through Ray's Jobs API, all to one driver", 6)
        return Submission(process, jobs, self.runner, self.logs / "job.log")

    def deploy(
        self,
        settings: str,
        cpus: float = 0.25,
        scopes: Sequence[str] = _SCOPES,
        reviewers: Sequence[str] = (),
        deadline_ms: int | None = 30_000,
    ) -> Application:
        """Deploys the application, waits until it is ready, and makes a key of these scopes.

        `{replica}` in the settings is one replica with these cores; production keeps two.
        """
        key = self.new_key([f"{self.name}:{scope}" for scope in scopes], reviewers)
        return Application(self.launch(_SETTINGS + settings, cpus), key, deadline_ms)

    def launch(self, settings: str, cpus: float, **values: object) -> str:
        """Starts the application with no other settings; its URL, once it is ready."""
        if not self.turn.wait(_TURN_SECONDS):
            raise SystemExit(f"error: {self.name} waited {_TURN_SECONDS:.0f} s to be deployed")
        self.runner.say(f"deploying the {self.name} application on Ray Serve", _DEPLOY_SECONDS)
        replica = f'{{"min": 1, "cpus": {cpus}}}'
        words = self._words(settings, {"replica": replica, **values})
        log, url = self.logs / "serve.log", f"http://127.0.0.1:{self.head.http_port}/{self.name}"
        target = (
            f"serve.{self.name}.app:build",
            f"--name={self.name}",
            f"--route-prefix=/{self.name}",
        )
        options = (f"--working-dir={ROOT}", "--non-blocking")
        status = self.head.run(program("serve"), "run", *target, *options, *words, log=log)
        if status != 0:
            raise SystemExit(f"error: deploying {self.name} ended with {status}; its log is {log}")
        _await_ready(f"{url}/readyz", log)
        return url

    def new_key(self, scopes: Sequence[str], reviewers: Sequence[str] = ()) -> str:
        """An API key with these scopes, bound to these reviewers if there are any."""
        bound = ["--reviewers", ",".join(reviewers)] if reviewers else []
        command = [sys.executable, "-m", "jobs.access.keys", "create"]
        file = f"--file={self.folder / 'keys.json'}"
        process = self.head.capture(*command, file, "--scopes", *scopes, *bound)
        process.check_returncode()
        return process.stdout.strip().splitlines()[-1]

    def command(self, template: str, **values: object) -> CompletedProcess[str]:
        """Runs a job of the product as a command here; its exit status and what it printed."""
        module, *options = self._words(template, values)
        done = self.head.capture(sys.executable, "-m", f"jobs.{module}", *options)
        log = self.logs / f"{module.rpartition('.')[2]}.log"
        log.write_text(f"{done.stdout}{done.stderr}")
        return done

    def close(self, app: Application, more: str) -> None:
        """Prints where the files of this system and its API page are."""
        path = os.path.relpath(self.folder, ROOT)
        more = more.format(path=path)
        self.runner.print(_CLOSING.format(path=path, more=more, url=app.url, key=app.key))

    def scores(self) -> pa.Table:
        """What the nightly scoring job wrote."""
        files = sorted((self.folder / "scores/data").glob("*.parquet"))
        return pa.concat_tables([pq.read_table(file) for file in files])

    def _words(self, template: str, values: Mapping[str, object]) -> list[str]:
        """Words of a template, split before values that may contain blanks are filled in."""
        return [word.format(folder=self.folder, **values) for word in template.split()]


class Application:
    """A deployed application.

    Attributes:
        answers: what requests were answered, by the name of their step.
    """

    def __init__(self, url: str, key: str, deadline_ms: int | None = None) -> None:
        self.url, self.key = url, key
        self.answers: dict[str, Answer] = {}
        deadline = {} if deadline_ms is None else {"X-Deadline-Ms": str(deadline_ms)}
        headers = {"Authorization": f"Bearer {key}", **deadline}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=90)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """The answer to a body that is posted."""
        return _answer(self._client.post(path, json=body, headers=headers))

    def get(self, path: str, **parameters: str) -> Answer:
        """What stands under a path."""
        return _answer(self._client.get(path, params=parameters))

    def ask(
        self,
        name: str,
        path: str,
        body: Any,
        expect: Callable[[Answer], str],
        show: Callable[[Answer], str] | None = None,
    ) -> Step:
        """A request whose answer is kept under the step's name."""

        def run() -> Answer:
            self.answers[name] = self.post(path, body)
            return self.answers[name]

        return Step(name, run, expect, show)

    def wrong_key(self, path: str, body: Any) -> Step:
        """A request with a key that nobody has; it must be refused."""
        run = partial(self.post, path, body, Authorization="Bearer fw_nobody_nothing")
        return Step("with a wrong key", run, fields(http=401))


def _answer(response: httpx.Response) -> Answer:
    is_json = "json" in response.headers.get("content-type", "")
    body = response.json() if is_json else {"detail": response.text}
    return {**body, "http": response.status_code}


def _await_ready(url: str, log: Path) -> None:
    deadline, state = time.monotonic() + _READY_SECONDS, "nothing answered"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(url, timeout=5)
            if answer.is_success:
                return
            state = f"{answer.status_code} {answer.text[:300]}"
        except httpx.HTTPError as error:
            state = str(error)
        time.sleep(0.5)
    raise SystemExit(f"error: the service did not become ready: {state}; its log is {log}")
