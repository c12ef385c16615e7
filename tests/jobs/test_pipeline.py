"""A pipeline runs jobs in one driver, each with its log, and ends with the first that fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.pipeline.steps import read_steps
from tests.jobs.entries import JOBS


def simulation(folder: Path, name: str = "simulate", **more: Any) -> dict[str, Any]:
    options = [f"--output={folder / name}", "--users=50", "--days=9", "--fraud-share=0.05"]
    return {"name": name, "job": "fraud.simulate", "options": options, **more}


def unpublished(folder: Path) -> dict[str, Any]:
    """A step that its user has to mend: it promotes a version of a registry without any."""
    options = [f"--registry={folder / 'registry'}", "--system=fraud", "--alias=champion"]
    options += ["--version=v1", "--by=ana", "--reason=test"]
    return {"name": "promote", "job": "registry.promote", "options": options}


def write(folder: Path, *steps: dict[str, Any]) -> Path:
    file = folder / "steps.yaml"
    file.write_text(json.dumps({"steps": steps}))
    return file


def run(
    folder: Path, *steps: dict[str, Any], start_at: str = ""
) -> subprocess.CompletedProcess[str]:
    options = [
        f"--steps={write(folder, *steps)}",
        f"--log={folder / 'log'}",
        f"--start-at={start_at}",
    ]
    command = [sys.executable, "-m", "jobs.pipeline.run", *options]
    return subprocess.run(command, cwd=JOBS.parent, capture_output=True, text=True, check=False)


def test_steps_run_in_order_each_with_its_own_log(tmp_path: Path) -> None:
    done = run(tmp_path, simulation(tmp_path, "first", seconds=4), simulation(tmp_path, "second"))
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" after ")[0] for line in done.stdout.splitlines()]
    assert lines == [
        f"first: started, usually 4 s; log {tmp_path}/log/first.log",
        "first: exit 0",
        f"second: started; log {tmp_path}/log/second.log",
        "second: exit 0",
    ]
    for name in ("first", "second"):
        assert (tmp_path / name / "transactions.parquet").exists()
        log = (tmp_path / "log" / f"{name}.log").read_text()
        assert f"{tmp_path / name}/labels.parquet" in log
    assert "second" not in (tmp_path / "log/first.log").read_text()


def test_the_first_step_that_fails_ends_the_pipeline_with_its_words(tmp_path: Path) -> None:
    done = run(tmp_path, unpublished(tmp_path), simulation(tmp_path))
    assert done.returncode == 1
    assert "promote: exit 1 after" in done.stdout
    words = (tmp_path / "log/promote.log").read_text().strip()
    assert words.startswith("error: ")
    assert f"error: step promote ended with 1; its log is {tmp_path}/log/promote.log" in done.stderr
    assert words in done.stderr
    assert not (tmp_path / "simulate").exists()


def test_an_option_that_a_step_does_not_have_ends_it_with_2(tmp_path: Path) -> None:
    step = simulation(tmp_path) | {"options": ["--output=x", "--userz=3"]}
    done = run(tmp_path, step)
    assert done.returncode == 1
    assert "simulate: exit 2 after" in done.stdout
    assert "--userz" in done.stderr


def test_steps_before_start_at_do_not_run(tmp_path: Path) -> None:
    done = run(tmp_path, unpublished(tmp_path), simulation(tmp_path), start_at="simulate")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "log/promote.log").exists()


@pytest.mark.parametrize(
    ("steps", "start_at", "message"),
    [
        ([{"name": "a", "job": "fraud.trian"}], "", "step a: there is no job 'fraud.trian'"),
        ([{"name": "a", "job": "publishing"}], "", "step a: there is no job 'publishing'"),
        ([{"name": "a", "job": "..lib.durable"}], "", "there is no job"),
        ([{"name": "../a", "job": "fraud.train"}], "", "expected letters and digits"),
        ([{"name": "a", "job": "fraud.train", "option": []}], "", "option"),
        ([{"name": "a", "job": "fraud.train"}] * 2, "", "two steps are named 'a'"),
        ([{"name": "a", "job": "fraud.train"}], "b", "--start-at"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(
    steps: list[dict[str, Any]], start_at: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        read_steps(write(tmp_path, *steps), start_at)
