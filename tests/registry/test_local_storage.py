"""What only a local registry can show: damage on disk, drafts and racing writers."""

import multiprocessing
import shutil
from pathlib import Path

import pytest

from lib.registry import ArtifactError, Registry
from tests.registry.conftest import NOVEMBER, WriteModel


@pytest.fixture
def root(tmp_path: Path, write_model: WriteModel) -> Path:
    for day in range(2):
        write_model(tmp_path / f"model-{day}", created_at=NOVEMBER + day)
        Registry(tmp_path / "registry").publish(tmp_path / f"model-{day}", "fraud")
    return tmp_path / "registry"


def test_a_weight_file_damaged_in_the_registry_is_never_served(root: Path, tmp_path: Path) -> None:
    version = Registry(root).versions("fraud")[0]
    weights = root / "fraud" / "versions" / version / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"network\.safetensors: expected \d+ bytes"):
        Registry(root).fetch("fraud", version, tmp_path / "cache")
    assert list((tmp_path / "cache" / "fraud").iterdir()) == []


def test_a_weight_file_lost_in_the_registry_is_named(root: Path, tmp_path: Path) -> None:
    version = Registry(root).versions("fraud")[0]
    (root / "fraud" / "versions" / version / "policy.json").unlink()
    with pytest.raises(ArtifactError, match=r"policy\.json"):
        Registry(root).fetch("fraud", version, tmp_path / "cache")


def test_a_version_copied_under_another_name_is_refused(root: Path) -> None:
    folder = root / "fraud" / "versions"
    version = Registry(root).versions("fraud")[0]
    shutil.copytree(folder / version, folder / "20300101T000000Z-00000000")
    with pytest.raises(ArtifactError, match="expected fraud 20300101T000000Z-00000000"):
        Registry(root).manifest("fraud", "20300101T000000Z-00000000")


def test_a_version_without_its_manifest_does_not_exist(root: Path) -> None:
    first, second = Registry(root).versions("fraud")
    (root / "fraud" / "versions" / first / "manifest.json").unlink()
    assert Registry(root).versions("fraud") == (second,)


def _promote_often(root: Path, version: str, alias: str, writer: int, times: int) -> None:
    for turn in range(times):
        Registry(root).set_alias("fraud", alias, version, at=turn, by=f"writer-{writer}")
        Registry(root).set_alias("fraud", alias, other(root, version), at=turn, by=f"{writer}")


def other(root: Path, version: str) -> str:
    return next(name for name in Registry(root).versions("fraud") if name != version)


def test_two_writers_lose_none_of_each_others_changes(root: Path) -> None:
    version = Registry(root).versions("fraud")[0]
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_promote_often, args=(root, version, alias, number, 20))
        for number, alias in enumerate(("champion", "challenger"))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(Registry(root).history("fraud")) == 2 * 2 * 20
