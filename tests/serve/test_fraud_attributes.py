"""A model with attributes and a feature file, from files over training to decisions and rules."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.fraud import audit, backfill, score, train
from jobs.fraud import features as features_job
from jobs.fraud.audit import AuditConfig
from jobs.fraud.backfill import BackfillConfig
from jobs.fraud.features import FeaturesConfig
from jobs.fraud.score import ScoreConfig
from jobs.fraud.train import TrainConfig
from lib.contract import ContractError
from lib.fraud.model.reasons import top_reasons
from lib.registry import Registry
from serve.framework.model_slot import RestartRequiredError
from serve.fraud.model import ModelDeployment
from tests.conftest import on_two_cores
from tests.fraud.attribute_files import AttributeFiles, write_files
from tests.fraud.small_retraining import SMALL
from tests.serve.conftest import Models, Running, Workspace, new_workspace, starting
from tests.serve.factories import SCORE, eventually, payment
from tests.serve.trained_attributes import bad_attributes, typed_fields

pytestmark = [pytest.mark.anyio, *on_two_cores(minutes=8)]

RULES = """
version: 7
rules:
- {id: guests, when: channel == "phone" and is_guest == 1, action: REVIEW, reason: guests by phone,
   confidence: 0.5, priority: 1, owner: team}
- {id: shops, when: merchants_by_device_3d >= 3, action: REVIEW, reason: many shops on a device,
   confidence: 0.6, priority: 2, owner: team}
"""


@dataclass(frozen=True)
class Trained:
    """A published model and what it was trained on.

    Attributes:
        files: of the payments.
        registry: its directory.
        version: of the model.
        output: of the training.
    """

    files: AttributeFiles
    registry: Path
    version: str
    output: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    files = write_files(folder, users=150, days=45)
    options: dict[str, Any] = {
        **SMALL,
        "transactions": str(files.transactions),
        "labels": str(files.labels),
        "mapping_transactions": str(files.mapping),
        "feature_file": str(files.features),
        "output": str(folder / "out"),
        "registry": str(folder / "registry"),
        "alias": "champion",
    }
    train.main(TrainConfig(**options))
    version = Registry(folder / "registry").resolve("fraud", "champion")
    return Trained(files, folder / "registry", version, folder / "out")


@pytest.fixture(scope="module")
def workspace(
    trained: Trained, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    return workspace_of(trained, models, tmp_path_factory.mktemp("attributes"))


def workspace_of(trained: Trained, models: Models, folder: Path) -> Workspace:
    workspace = new_workspace(folder, models)
    shutil.rmtree(workspace.registry)
    shutil.copytree(trained.registry, workspace.registry)
    return workspace


@pytest.fixture(scope="module")
async def fraud(workspace: Workspace) -> AsyncIterator[Running]:
    async with starting(workspace) as running:
        await running.service.reconfigure({"rules": RULES})
        yield running


def with_attributes(**attributes: Any) -> dict[str, Any]:
    numbers = {f"v{number}": 0.25 for number in range(1, 21)}
    return payment(attributes={"category": "mcc1", "channel": "web", **numbers, **attributes})


async def decided(fraud: Running, sent: dict[str, Any]) -> dict[str, Any]:
    answer = await fraud.client.post(SCORE, json=sent)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def stored(fraud: Running, sent: dict[str, Any]) -> dict[str, Any]:
    path = f"/fraud/transactions/{sent['transaction_id']}"

    async def is_there() -> bool:
        return (await fraud.client.get(path)).status_code == 200

    await eventually(is_there)
    body: dict[str, Any] = (await fraud.client.get(path)).json()
    return body


async def test_attributes_and_features_of_the_file_are_in_the_decision(
    fraud: Running, trained: Trained
) -> None:
    sent = with_attributes(is_guest=True, account_age=12.5, v1=4.0)
    answer = await decided(fraud, sent)
    assert answer["method"] == "model"
    assert answer["model_version"] == trained.version
    features = (await stored(fraud, sent))["features"]
    assert (features["is_guest"], features["account_age"], features["v1"]) == (1.0, 12.5, 4.0)
    assert features["amount_by_account_age"] == 12.34 / 13.5
    assert features["channel_code"] in (1.0, 2.0)
    assert features["merchants_by_device_3d"] == 0.0 or features["merchants_by_device_3d"] is None


async def test_attributes_that_are_left_out_are_missing(fraud: Running) -> None:
    sent = payment()
    assert (await decided(fraud, sent))["method"] == "model"
    features = (await stored(fraud, sent))["features"]
    assert all(features[name] is None for name in ("v1", "is_guest", "channel_code", "account_age"))
    counted = 'forewarn_fraud_attributes_total{attribute="v1",state="missing"}'
    assert counted in fraud.meter.text()


async def test_a_value_that_the_model_never_saw_is_unknown_and_counted(fraud: Running) -> None:
    sent = with_attributes(channel="fax")
    await decided(fraud, sent)
    assert (await stored(fraud, sent))["features"]["channel_code"] == 0.0
    counted = 'forewarn_fraud_attributes_total{attribute="channel",state="unknown"} 1.0'
    assert counted in fraud.meter.text()


BAD = bad_attributes("attributes", "channel", "account_age", "is_guest")


@pytest.mark.parametrize(("attributes", "field"), [*BAD, ({"v1": float("inf")}, "v1")])
async def test_bad_attributes_are_refused_by_name(
    fraud: Running, attributes: dict[str, Any], field: str
) -> None:
    body = json.dumps(payment(attributes=attributes)).encode()
    answer = await fraud.client.post(SCORE, content=body)
    assert answer.status_code == 422
    assert field in answer.text


async def test_an_unknown_attribute_is_refused_with_those_that_the_model_reads(
    fraud: Running,
) -> None:
    answer = await fraud.client.post(SCORE, json=payment(attributes={"zzz": 1}))
    (error,) = answer.json()["errors"]
    assert error["message"].startswith("unknown field, got 1; known are account_age, category, ")
    assert "user_id" not in error["message"]


async def test_the_same_payment_with_another_attribute_is_another_payment(fraud: Running) -> None:
    sent = with_attributes(v2=1.0)
    first = await decided(fraud, sent)
    assert await decided(fraud, sent) == first
    changed = {**sent, "attributes": {**sent["attributes"], "v2": 2.0}}
    assert (await fraud.client.post(SCORE, json=changed)).status_code == 409


async def test_rules_read_attributes_and_features_of_the_file(fraud: Running) -> None:
    guest = await decided(fraud, with_attributes(channel="phone", is_guest=True))
    assert (guest["rule_id"], guest["decision"]) == ("guests", "REVIEW")
    for shop in ("s1", "s2", "s3"):
        await decided(fraud, with_attributes() | {"device_id": "busy", "merchant_id": shop})
    answer = await decided(fraud, with_attributes() | {"device_id": "busy"})
    assert answer["rule_id"] == "shops"


async def test_reasons_name_attributes_in_the_words_of_the_files(fraud: Running) -> None:
    named: dict[str, str] = {}
    for value in (3.0, 5.0, 8.0):
        answer = await decided(fraud, with_attributes(v1=value, v2=value, v3=value, is_guest=True))
        named |= {reason["feature"]: reason["words"] for reason in answer["reasons"]}
    assert named.keys() & {"v1", "v2", "v3"}
    words = fraud.service.features.words
    assert words["merchants_by_device_3d"] == "different shops on this device within three days"
    contributions = np.zeros(len(fraud.service.features.names))
    names = fraud.service.features.names
    contributions[names.index("merchants_by_device_3d")] = 2.0
    (reason,) = top_reasons(names, np.ones(len(names), np.float32), contributions, words)
    assert reason["words"] == words["merchants_by_device_3d"]
    assert reason["code"] == "MERCHANTS_BY_DEVICE_3D"


async def test_the_api_page_has_a_typed_field_for_each_attribute(fraud: Running) -> None:
    types = {"channel": "string", "is_guest": "boolean", "v1": "number"}
    schema = await typed_fields(fraud.client, "fraud", "PaymentAttributes", **types)
    assert list(schema)[:4] == ["category", "channel", "is_guest", "account_age"]
    assert len(schema) == 24
    assert schema["category"]["description"].startswith("The branch of the shop")
    assert schema["account_age"]["anyOf"][0]["minimum"] == 0


async def test_what_was_served_is_what_an_audit_computes_again(
    models: Models, trained: Trained, tmp_path: Path
) -> None:
    own = workspace_of(trained, models, tmp_path)
    sent = [with_attributes(v3=value, is_guest=value > 1) for value in (0.5, 1.5, 2.5)]
    async with starting(own) as running:
        for each in [*sent, payment()]:
            await decided(running, each)
        records = running.service.args.records
    model = str(trained.output / "model")
    result = audit.main(AuditConfig(records=records, features_of=model, progress="none"))
    assert (result.payments, result.differing, result.other_features) == (4, 0, 0)
    packaged = audit.main(AuditConfig(records=records, progress="none"))
    assert (packaged.payments, packaged.other_features) == (0, 4)


async def test_a_model_of_another_file_is_refused_with_what_to_do(
    models: Models, trained: Trained, tmp_path: Path
) -> None:
    workspace = new_workspace(tmp_path, models)
    other = Registry(workspace.registry)
    version = other.publish(trained.output / "model", "fraud")
    async with starting(workspace) as running:
        before = running.service.model_slot.version
        await running.service.reconfigure({"model": version})
        slot = running.service.model_slot
        assert slot.version == before
        assert "other attributes or another feature file" in slot.error
        assert "backfill --features-of" in slot.error
        assert (await running.client.post(SCORE, json=payment())).status_code == 200
        refused = await running.client.post(SCORE, json=with_attributes())
        assert refused.status_code == 422


async def test_a_service_that_began_without_its_model_asks_to_be_started_again(
    models: Models, trained: Trained, tmp_path: Path
) -> None:
    workspace = new_workspace(tmp_path, models)
    shutil.rmtree(workspace.registry)
    deployment = ModelDeployment(workspace.args())
    async with starting(workspace) as running:
        service = running.service
        deployment.check_health()
        shutil.copytree(trained.registry, workspace.registry)
        await service.reconfigure({"model": "champion"})
        assert "other attributes or another feature file" in service.restart_reason
        assert (await running.client.post(SCORE, json=payment())).json()["method"] == "fallback"
        await deployment.reconfigure({"model": "champion"})
        with pytest.raises(RestartRequiredError, match="start the service again"):
            deployment.check_health()
    async with starting(workspace) as again:
        assert again.service.restart_reason == ""
        assert (await again.client.post(SCORE, json=with_attributes())).json()["method"] == "model"


def test_payments_are_scored_and_filled_in_with_the_features_of_the_model(
    trained: Trained, tmp_path: Path
) -> None:
    tables: dict[str, Any] = {
        "transactions": str(trained.files.transactions),
        "labels": str(trained.files.labels),
        "mapping_transactions": str(trained.files.mapping),
        "features_of": str(trained.output / "model"),
        "progress": "none",
    }
    features_job.main(FeaturesConfig(**tables, output=str(tmp_path / "features")))
    source = str(tmp_path / "features")
    score.main(
        ScoreConfig(
            features=source, model=str(trained.output / "model"), output=str(tmp_path / "scores")
        )
    )
    scores = pq.read_table(tmp_path / "scores")
    assert scores.num_rows == pq.read_metadata(trained.files.transactions).num_rows
    store = f"sqlite:///{tmp_path}/profiles.sqlite"
    assert backfill.main(BackfillConfig(**tables, profile_store=store)) == scores.num_rows
    with pytest.raises(ContractError, match="--features-of: expected the model"):
        backfill.main(BackfillConfig(**{**tables, "features_of": None}, profile_store=store))


def test_data_that_lacks_an_attribute_of_the_model_is_refused(
    trained: Trained, tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.yaml"
    text = trained.files.mapping.read_text()
    mapping.write_text(text.replace("  channel: {from: channel, type: category}\n", ""))
    config = FeaturesConfig(
        transactions=str(trained.files.transactions),
        mapping_transactions=str(mapping),
        features_of=str(trained.output / "model"),
        output=str(tmp_path / "out"),
    )
    with pytest.raises(ContractError, match=r"model reads attribute 'channel'.*under 'attributes'"):
        config.check()
