"""Jobs of a demonstration: one submission through Ray's Jobs API runs them in one driver."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.demo_steps import Runner

_STARTED = re.compile(r"([a-z0-9_-]+): started")
_ENDED = re.compile(r"([a-z0-9_-]+): exit (\d+) after ([\d.]+) s")
_LAST_LINES = 30


@dataclass(frozen=True)
class DemoJob:
    """A step of a pipeline.

    Attributes:
        name: of the step, and of its log.
        title: what it does, in words.
        seconds: that it usually takes on two cores.
        command: module below `jobs` and its options; values in braces are filled in.
    """

    name: str
    title: str
    seconds: float
    command: str

    def step(self, system: str, values: Mapping[str, object]) -> dict[str, object]:
        """The step for `jobs.pipeline.run`; split into words before values are filled in."""
        module, *options = (word.format_map(values) for word in self.command.split())
        job = f"{system}.{module}"
        return {"name": self.name, "job": job, "options": options, "seconds": self.seconds}


class Submission:
    """A pipeline that was submitted, with the progress of its steps printed as it runs.

    Args:
        process: follows the job's log.
        jobs: of the pipeline.
        runner: prints their progress.
        log: file for all that the process prints.
    """

    def __init__(
        self, process: subprocess.Popen[str], jobs: Sequence[DemoJob], runner: Runner, log: Path
    ) -> None:
        self._process, self._runner, self._log = process, runner, log
        self._jobs = {job.name: job for job in jobs}
        self._done: set[str] = set()
        self._lines: list[str] = []
        self._status: int | None = None
        self._change = threading.Condition()
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def wait(self, name: str | None = None) -> None:
        """Waits until a step has ended with 0, or all of them have.

        Raises:
            SystemExit: the job ended before.
        """
        awaited = self._jobs.keys() if name is None else {name}
        with self._change:
            self._change.wait_for(lambda: awaited <= self._done or self._status is not None)
            status, done = self._status, set(self._done)
        if awaited <= done:
            return
        last = "\n".join(self._lines[-_LAST_LINES:])
        raise SystemExit(
            f"error: the job of {self._runner.system} ended with {status}; its log is {self._log}\n"
            f"{last}"
        )

    def _follow(self) -> None:
        with self._process as process, self._log.open("a") as log:
            for line in process.stdout or ():
                log.write(line)
                log.flush()
                self._lines.append(line.rstrip())
                self._report(line)
        status = self._process.wait()
        with self._change:
            self._status = status
            self._change.notify_all()

    def _report(self, line: str) -> None:
        started, ended = _STARTED.match(line), _ENDED.match(line)
        if started and (job := self._jobs.get(started[1])):
            self._runner.say(job.title, job.seconds)
        if ended and ended[1] in self._jobs:
            self._runner.print(f"{ended[1]}: exit {ended[2]} after {float(ended[3]):.0f} s")
            if ended[2] == "0":
                with self._change:
                    self._done.add(ended[1])
                    self._change.notify_all()
