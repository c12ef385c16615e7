from pathlib import Path

import pytest

from lib.registry import ArtifactError, Registry, RegistryError, verify_artifact
from tests.registry.conftest import NOVEMBER, WriteModel

DAY = 86_400_000_000


@pytest.fixture
def versions(registry: Registry, tmp_path: Path, write_model: WriteModel) -> list[str]:
    """Three published versions, oldest first."""
    published = []
    for day in range(3):
        write_model(tmp_path / f"model-{day}", created_at=NOVEMBER + day * DAY)
        published.append(registry.publish(tmp_path / f"model-{day}", "fraud"))
    return published


def promote(registry: Registry, version: str, alias: str = "champion") -> None:
    registry.set_alias("fraud", alias, version, at=NOVEMBER, by="ana")


def test_published_versions_are_listed_oldest_first(
    registry: Registry, versions: list[str]
) -> None:
    assert list(registry.versions("fraud")) == versions
    assert registry.systems() == ("fraud",)


def test_an_empty_registry_holds_nothing(registry: Registry) -> None:
    assert registry.versions("fraud") == ()
    assert registry.aliases("fraud") == {}
    assert registry.systems() == ()


def test_a_version_cannot_be_published_twice(
    registry: Registry, versions: list[str], tmp_path: Path
) -> None:
    with pytest.raises(RegistryError, match="immutable"):
        registry.publish(tmp_path / "model-0", "fraud")


def test_a_damaged_model_is_not_published(
    registry: Registry, tmp_path: Path, write_model: WriteModel
) -> None:
    write_model(tmp_path / "model")
    (tmp_path / "model" / "policy.json").write_bytes(b"{}")
    with pytest.raises(ArtifactError, match=r"policy\.json"):
        registry.publish(tmp_path / "model", "fraud")
    assert registry.versions("fraud") == ()


def test_a_model_of_another_system_is_not_published(
    registry: Registry, tmp_path: Path, write_model: WriteModel
) -> None:
    write_model(tmp_path / "model")
    with pytest.raises(RegistryError, match="expected a model of churn, got one of fraud"):
        registry.publish(tmp_path / "model", "churn")


def test_an_alias_names_a_version_until_it_is_moved(
    registry: Registry, versions: list[str]
) -> None:
    promote(registry, versions[0])
    promote(registry, versions[1])
    promote(registry, versions[2], "challenger")
    assert registry.aliases("fraud") == {"champion": versions[1], "challenger": versions[2]}
    assert registry.resolve("fraud", "champion") == versions[1]


def test_the_challenger_can_become_champion_by_its_alias(
    registry: Registry, versions: list[str]
) -> None:
    promote(registry, versions[2], "challenger")
    promote(registry, "challenger")
    assert registry.resolve("fraud", "champion") == versions[2]


def test_every_change_is_remembered(registry: Registry, versions: list[str]) -> None:
    promote(registry, versions[0])
    promote(registry, versions[1])
    registry.rollback("fraud", "champion", at=NOVEMBER + DAY, by="ben")
    changes = [(c.action, c.before, c.after, c.at, c.by) for c in registry.history("fraud")]
    assert changes == [
        ("set", None, versions[0], NOVEMBER, "ana"),
        ("set", versions[0], versions[1], NOVEMBER, "ana"),
        ("rollback", versions[1], versions[0], NOVEMBER + DAY, "ben"),
    ]


def test_rolling_back_twice_goes_two_versions_back(registry: Registry, versions: list[str]) -> None:
    for version in versions:
        promote(registry, version)
    assert registry.rollback("fraud", "champion", at=NOVEMBER, by="ben") == versions[1]
    assert registry.rollback("fraud", "champion", at=NOVEMBER, by="ben") == versions[0]
    with pytest.raises(RegistryError, match="no earlier version"):
        registry.rollback("fraud", "champion", at=NOVEMBER, by="ben")
    assert registry.resolve("fraud", "champion") == versions[0]


def test_promoting_what_is_champion_already_does_not_spoil_the_way_back(
    registry: Registry, versions: list[str]
) -> None:
    for version in (versions[0], versions[1], versions[1]):
        promote(registry, version)
    assert registry.rollback("fraud", "champion", at=NOVEMBER, by="ben") == versions[0]


@pytest.mark.parametrize("ref", ["20200101T000000Z-00000000", "../../etc", "newest"])
def test_an_unknown_version_is_refused_with_those_there_are(
    registry: Registry, versions: list[str], ref: str
) -> None:
    with pytest.raises(RegistryError, match=versions[0]):
        promote(registry, ref)
    assert registry.aliases("fraud") == {}


def test_an_alias_nobody_serves_is_refused(registry: Registry, versions: list[str]) -> None:
    with pytest.raises(RegistryError, match="champion, challenger, got 'champoin'"):
        promote(registry, versions[0], "champoin")


def test_an_alias_not_set_yet_says_what_to_promote(registry: Registry, versions: list[str]) -> None:
    with pytest.raises(RegistryError, match=f"no champion yet.*{versions[2]}"):
        registry.resolve("fraud", "champion")


@pytest.mark.parametrize("system", ["../fraud", "", "Fraud"])
def test_a_system_cannot_leave_the_registry(registry: Registry, system: str) -> None:
    with pytest.raises(RegistryError, match="system"):
        registry.versions(system)


def test_a_fetched_model_is_whole(registry: Registry, versions: list[str], tmp_path: Path) -> None:
    promote(registry, versions[1])
    path = registry.fetch("fraud", "champion", tmp_path / "cache")
    assert path == tmp_path / "cache" / "fraud" / versions[1]
    assert verify_artifact(path).manifest == registry.manifest("fraud", "champion")


def test_a_cached_copy_is_used_again(
    registry: Registry, versions: list[str], tmp_path: Path
) -> None:
    first = registry.fetch("fraud", versions[0], tmp_path / "cache")
    born = first.stat().st_ino
    assert registry.fetch("fraud", versions[0], tmp_path / "cache").stat().st_ino == born


def test_a_half_downloaded_cache_is_replaced(
    registry: Registry, versions: list[str], tmp_path: Path
) -> None:
    half = tmp_path / "cache" / "fraud" / versions[0]
    half.mkdir(parents=True)
    (half / "network.safetensors").write_bytes(b"half")
    registry.fetch("fraud", versions[0], tmp_path / "cache")
    verify_artifact(half)
    assert [entry.name for entry in half.parent.iterdir()] == [versions[0]]
