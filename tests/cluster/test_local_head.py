"""The commands of cluster/README.md work as written, word for word, in a copy of the tree."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_HEADING = "## Run it on a cluster"


def written(heading: str) -> list[str]:
    """The shell commands of one section, block by block."""
    section = (ROOT / "cluster/README.md").read_text().split(heading, 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.S)


class Terminal:
    """A shell that somebody types into, in an environment of a new user."""

    def __init__(self, folder: Path, home: Path) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        self._output = (folder.parent / "terminal.log").open("w+")
        self._shell = subprocess.Popen(
            ["/bin/bash", "--norc"],
            cwd=folder,
            env={**kept, "HOME": str(home), "PATH": path},
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._typed = 0

    def type(self, commands: str, seconds: float = 400.0) -> str:
        """Types commands, waits until they are done, and returns what they printed."""
        before, self._typed = self.read_output(), self._typed + 1
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{commands}\necho finished-{self._typed}-$?\n")
        self._shell.stdin.flush()
        output = self.wait_for(f"finished-{self._typed}-", seconds)[len(before) :]
        print(output)
        assert f"finished-{self._typed}-0" in output, output
        return output

    def wait_for(self, text: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while text not in self.read_output():
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.read_output()}"
            assert self._shell.poll() is None, self.read_output()
            time.sleep(0.2)
        return self.read_output()

    def read_output(self) -> str:
        return Path(self._output.name).read_text()

    def close(self) -> None:
        """Ends the shell's processes; the head ends its own."""
        if self._shell.poll() is None:
            os.killpg(self._shell.pid, signal.SIGTERM)
            self._shell.communicate()
        self._output.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    for port in (8000, 8265):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port}, which these commands use, is taken on this machine")
    tree, home = tmp_path / "forewarn", tmp_path / "home"
    home.mkdir()
    left_out = shutil.ignore_patterns(".*", "var", "__pycache__")
    shutil.copytree(ROOT, tree, ignore=left_out)
    shutil.copy(ROOT / ".gitignore", tree)
    opened = Terminal(tree, home)
    yield opened
    opened.close()


def test_the_set_up_takes_three_lines_before_the_head() -> None:
    lines = written(_HEADING)[0].strip().splitlines()
    assert len(lines) == 4
    assert "RAY_AUTH_MODE=token" in lines[0]
    assert lines[1].startswith("ray get-auth-token --generate")
    assert "jobs.access.keys create" in lines[2]
    assert lines[3] == "python -m cluster.local &"


def test_the_section_submits_a_job_deploys_and_asks_for_the_status() -> None:
    commands = written(_HEADING)[1]
    for command in ("ray job submit", "serve deploy", "serve status"):
        assert re.search(rf"(?m)^{command}\b", commands)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_of_the_cluster_section_work_as_written(terminal: Terminal) -> None:
    set_up, train_and_deploy, decide = written(_HEADING)
    terminal.type(set_up)
    terminal.wait_for("until Ctrl-C", 120)
    output = terminal.type(train_and_deploy, 600)
    assert output.count("succeeded") == 2
    assert "Sent deploy request successfully" in output
    deadline = time.monotonic() + 120
    while "RUNNING" not in (status := terminal.type("serve status")):
        assert "DEPLOY_FAILED" not in status, status
        assert time.monotonic() < deadline, status
        time.sleep(2)
    _, _, rest = terminal.type(decide).partition("{")
    answer = json.loads("{" + rest.partition("}\n")[0].partition("}finished")[0] + "}")
    assert answer["decision"] in {"APPROVE", "REVIEW", "DECLINE"}
    assert answer["method"] == "model"
