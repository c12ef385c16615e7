"""Models and rules are replaced while requests run; a bad one leaves the old one on."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.fraud.features import FRAUD
from lib.fraud.rules import RULES_FILE
from lib.registry import Registry, TrainingRecord, verify_artifact, write_artifact
from tests.serve.conftest import Running, Start, Workspace
from tests.serve.factories import ALWAYS_REVIEW, SCORE, eventually, payment
from tests.serve.small_fraud_model import CREATED_AT

pytestmark = pytest.mark.anyio


async def served(fraud: Running) -> dict[str, Any]:
    answer = await fraud.client.post(SCORE, json=payment())
    assert answer.status_code == 200
    return dict(answer.json())


async def part(fraud: Running, name: str) -> dict[str, Any]:
    body = (await fraud.client.get("/fraud/status")).json()
    return dict(body["parts"][name])


async def test_another_version_takes_over(fraud: Running, workspace: Workspace) -> None:
    assert (await served(fraud))["model_version"] == workspace.versions[0]
    await fraud.service.reconfigure({"model": workspace.versions[1]})
    assert (await served(fraud))["model_version"] == workspace.versions[1]


async def test_a_moved_alias_is_followed_without_being_told(
    fraud: Running, workspace: Workspace
) -> None:
    registry = Registry(workspace.registry)
    registry.set_alias("fraud", "champion", workspace.versions[1], at=CREATED_AT + 1, by="test")

    async def followed() -> bool:
        return bool((await served(fraud))["model_version"] == workspace.versions[1])

    await eventually(followed)
    registry.rollback("fraud", "champion", at=CREATED_AT + 2, by="test")

    async def rolled_back() -> bool:
        return bool((await served(fraud))["model_version"] == workspace.versions[0])

    await eventually(rolled_back)


def published_for_other_features(workspace: Workspace) -> str:
    """A version that is whole, but was trained on other inputs."""
    source = workspace.registry / "fraud" / "versions" / workspace.versions[0]
    manifest = verify_artifact(source).manifest
    target = workspace.folder / "foreign"
    write_artifact(
        target,
        TrainingRecord(CREATED_AT + 9, "x", "x", {}, {}),
        system="fraud",
        feature_set_digest="0" * 64,
        feature_names=(*FRAUD.names[:-1], "moon_phase"),
        files={name: source / name for name in manifest.files},
        thresholds=manifest.thresholds,
    )
    return Registry(workspace.registry).publish(target, "fraud")


async def refused(fraud: Running, workspace: Workspace, version: str, hint: str) -> None:
    await fraud.service.reconfigure({"model": version})
    assert (await served(fraud))["model_version"] == workspace.versions[0]
    status = await part(fraud, "model")
    assert not status["ok"]
    assert hint in status["error"]
    assert 'reloads_total{outcome="refused",part="model"} 1.0' in fraud.meter.text()


async def test_a_model_of_other_features_is_refused_and_they_are_named(
    fraud: Running, workspace: Workspace
) -> None:
    await refused(fraud, workspace, published_for_other_features(workspace), "moon_phase")


async def test_truncated_weights_are_refused(fraud: Running, workspace: Workspace) -> None:
    weights = (
        workspace.registry / "fraud" / "versions" / workspace.versions[1] / "forest.safetensors"
    )
    weights.write_bytes(weights.read_bytes()[:-100])
    await refused(fraud, workspace, workspace.versions[1], "forest.safetensors")


async def test_changed_thresholds_are_refused(fraud: Running, workspace: Workspace) -> None:
    manifest = workspace.registry / "fraud" / "versions" / workspace.versions[1] / "manifest.json"
    content = json.loads(manifest.read_text())
    content["thresholds"]["decline"] = 2.0
    manifest.write_text(json.dumps(content))
    await refused(fraud, workspace, workspace.versions[1], "edited")


async def test_a_version_that_does_not_exist_is_refused(
    fraud: Running, workspace: Workspace
) -> None:
    await refused(fraud, workspace, "20200101T000000Z-00000000", "no version")


async def test_a_good_model_after_a_bad_one_makes_it_ready_again(
    fraud: Running, workspace: Workspace
) -> None:
    await fraud.service.reconfigure({"model": "20200101T000000Z-00000000"})
    await fraud.service.reconfigure({"model": workspace.versions[1]})
    assert (await part(fraud, "model"))["ok"]
    assert (await served(fraud))["model_version"] == workspace.versions[1]


async def test_a_registry_that_is_gone_leaves_the_model_on(
    fraud: Running, workspace: Workspace
) -> None:
    shutil.rmtree(workspace.registry)
    await fraud.service.reconfigure({})
    assert (await served(fraud))["model_version"] == workspace.versions[0]


async def test_a_fresh_start_with_a_bad_version_takes_the_champion(
    start: Start, workspace: Workspace
) -> None:
    async with start(model="20200101T000000Z-00000000") as fraud:
        assert (await served(fraud))["model_version"] == workspace.versions[0]
        assert not (await part(fraud, "model"))["ok"]


async def test_rules_come_as_text_or_as_a_file(fraud: Running, workspace: Workspace) -> None:
    await fraud.service.reconfigure({"rules": ALWAYS_REVIEW})
    answer = await served(fraud)
    assert (answer["decision"], answer["method"]) == ("REVIEW", "rule")
    assert answer["rule_id"] == "everything_twice"
    file = workspace.folder / "rules.yaml"
    shutil.copy(RULES_FILE, file)
    await fraud.service.reconfigure({"rules": str(file)})
    assert (await served(fraud))["method"] == "model"


async def test_a_rule_that_decides_does_not_hide_the_payment_from_the_model(
    fraud: Running,
) -> None:
    await fraud.service.reconfigure({"rules": ALWAYS_REVIEW})
    answer = await served(fraud)
    assert answer["fraud_score"] is not None
    assert answer["model_version"] is not None


BAD_RULES = [
    (ALWAYS_REVIEW.replace("amount >= 0", "amuont >= 0"), "amount"),
    (ALWAYS_REVIEW.replace("action: REVIEW", "action: PERHAPS"), "PERHAPS"),
    ("rules: [\n", "user_config"),
    ("just\ntext\n", "user_config"),
    ("/nowhere/rules.yaml", "/nowhere/rules.yaml"),
]


@pytest.mark.parametrize(("rules", "hint"), BAD_RULES)
async def test_bad_rules_leave_the_old_ones_on_and_say_why(
    fraud: Running, rules: str, hint: str
) -> None:
    await fraud.service.reconfigure({"rules": ALWAYS_REVIEW})
    await fraud.service.reconfigure({"rules": rules})
    assert (await served(fraud))["rule_id"] == "everything_twice"
    status = await part(fraud, "rules")
    assert not status["ok"]
    assert hint in status["error"]


async def test_an_unknown_option_changes_nothing_and_is_told(fraud: Running) -> None:
    await fraud.service.reconfigure({"rulez": "x"})
    assert (await served(fraud))["method"] == "model"
    assert "rulez" in (await part(fraud, "config"))["error"]


async def test_the_answer_is_the_score_of_the_batch_path(
    fraud: Running, workspace: Workspace, tmp_path: Path
) -> None:
    from lib.fraud.model.model import Ensemble  # noqa: PLC0415  fits models, too
    from lib.registry import read_artifact  # noqa: PLC0415

    directory = Registry(workspace.registry).fetch("fraud", "champion", tmp_path / "copy")
    artifact = read_artifact(directory, FRAUD)
    ensemble = Ensemble.load(artifact)
    for number in range(30):
        sent = payment(user_id=f"user-{number % 4}", amount=f"{3 + number * 7}.50")
        answer = (await fraud.client.post(SCORE, json=sent)).json()
        kept = await fraud.client.get(f"/fraud/transactions/{sent['transaction_id']}")
        features = {
            name: float("nan") if value is None else value
            for name, value in kept.json()["features"].items()
        }
        row = np.array([[features[name] for name in ensemble.names]], dtype=np.float32)
        expected = ensemble.score(row)[0]
        assert answer["fraud_score"] == pytest.approx(expected, abs=1e-6)


async def test_a_stopped_payment_says_why_with_contributions(fraud: Running) -> None:
    assert fraud.service.model_slot is not None
    scorer = fraud.service.model_slot.current
    assert scorer is not None
    scorer.policy = dataclasses.replace(scorer.policy, review=0.0, decline=1.1)
    answer = await served(fraud)
    assert answer["decision"] == "REVIEW"
    assert answer["reasons"]
    assert all(reason["contribution"] > 0 for reason in answer["reasons"])
    assert answer["reason"] == answer["reasons"][0]["words"]
