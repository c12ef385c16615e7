"""`python -m jobs.SYSTEM.retrain`: killed and continued, what wins is published, what loses not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lib.registry import Registry
from lib.retraining.repository import Retraining
from tests.conftest import on_two_cores
from tests.jobs.retraining_records import kept_retrainings
from tests.jobs.small_retrainings import MAKERS

pytestmark = [pytest.mark.slow, *on_two_cores(minutes=15)]

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"RAY_ADDRESS": "local", "RAY_AUTH_MODE": "disabled"}


class Command:
    """Runs of a system's command on a file of options."""

    def __init__(self, system: str, config: Path) -> None:
        options = yaml.safe_load(config.read_text())
        self.system, self.records = system, options["records"]
        self.registry = Registry(options["registry"])
        self._words = [sys.executable, "-m", f"jobs.{system}.retrain", "--config", str(config)]

    @property
    def newest(self) -> Retraining | None:
        return next(iter(kept_retrainings(self.records, self.system)), None)

    def kill_after(self, step: str) -> str:
        """Start it, and kill it once a step is noted; what it printed until then."""
        with subprocess.Popen(
            self._words, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        ) as process:
            while self.newest is None or step not in self.newest.steps:
                assert process.poll() is None, f"it ended before {step!r} was noted"
                time.sleep(0.02)
            process.kill()
            output, _ = process.communicate()
        return output

    def finish(self, *words: str) -> str:
        done = subprocess.run(
            [*self._words, *words], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4_000:]
        print(done.stdout)
        return done.stdout


@pytest.mark.parametrize("system", sorted(MAKERS))
def test_what_was_killed_goes_on_and_is_published_where_it_wins_alone(
    system: str, tmp_path: Path
) -> None:
    command = Command(system, MAKERS[system](tmp_path).write_config(tmp_path))
    command.kill_after("labels")
    begun = command.newest
    assert begun is not None
    assert begun.ended_at is None
    output = command.kill_after("trained")
    assert f"continuing retraining {begun.id}, which was cut off (done: labels)" in output
    cut_off = command.newest
    assert cut_off is not None
    output = command.finish()
    assert f"{begun.id}, which was cut off (done: labels, trained" in output
    assert "decision:    better by more than the margin of 0 a week: the challenger" in output
    (ended,) = kept_retrainings(command.records, system)
    assert (ended.id, ended.decision) == (begun.id, "published")
    steps = cut_off.detail["steps"]
    assert ended.detail["steps"][: len(steps)] == steps
    assert ended.version == steps[1]["version"]
    assert command.registry.resolve(system, "challenger") == ended.version
    before = command.registry.aliases(system)
    output = command.finish("--margin", "1e9", "--least", "0")
    assert "decision:    not published: the lower limit of its gain, " in output
    assert "does not beat the margin of 1,000,000,000; the challenger" in output
    assert command.registry.aliases(system) == before
    assert [own.decision for own in kept_retrainings(command.records, system)] == [
        "not published", "published",
    ]  # fmt: skip
