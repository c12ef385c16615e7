import subprocess
import sys
from pathlib import Path

import pytest

from lib.registry import Registry
from tests.registry.conftest import NOVEMBER, WriteModel


def run(command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", f"jobs.registry.{command}", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path, write_model: WriteModel) -> Path:
    for second in range(2):
        write_model(tmp_path / f"model-{second}", created_at=NOVEMBER + second * 1_000_000)
        Registry(tmp_path / "registry").publish(tmp_path / f"model-{second}", "fraud")
    return tmp_path / "registry"


def test_a_model_is_promoted_and_rolled_back_from_the_shell(root: Path) -> None:
    common = ("--registry", root, "--system", "fraud", "--alias", "champion", "--by", "ana")
    first, second = Registry(root).versions("fraud")
    for version in (first, second):
        assert run("promote", *common, "--version", version).returncode == 0
    assert Registry(root).resolve("fraud", "champion") == second
    assert run("rollback", *common).returncode == 0
    assert Registry(root).resolve("fraud", "champion") == first
    table = run("list", "--registry", root, "--history").stdout
    assert [line.split()[3:5] for line in table.splitlines()[2:]] == [
        ["champion", "set"],
        ["champion", "set"],
        ["champion", "rollback"],
    ]


def test_the_list_shows_each_version_with_its_metrics(root: Path) -> None:
    lines = run("list", "--registry", root).stdout.splitlines()
    assert lines[0].split() == ["system", "version", "alias", "created", "features", "metrics"]
    assert len(lines) == 4
    assert lines[2].endswith("average_precision=0.7")


def test_an_unknown_version_ends_with_a_message_and_no_traceback(root: Path) -> None:
    ended = run("promote", "--registry", root, "--system", "fraud", "--version", "newest")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: fraud: no version 'newest'")
    assert "Traceback" not in ended.stderr
