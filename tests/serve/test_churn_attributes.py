"""A churn model with attributes, from files over training to scores, rules and reasons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.churn import score, train
from jobs.churn.score import ScoreConfig
from jobs.churn.train import TrainConfig
from lib.churn.model.model import base_in, load_model
from lib.contract import ContractError
from lib.feature import DAY
from lib.monitoring import REFERENCE_FILE
from lib.registry import Registry
from tests.churn.attribute_tables import mapping, write_attributes
from tests.churn.changed_customers import SMALL, write_accounts
from tests.churn.small_model import save
from tests.churn.small_model import trained as plain_model
from tests.churn.tables import day
from tests.conftest import on_two_cores
from tests.serve.application import iso
from tests.serve.churn_app import CREATED_AT, Running, churn, publish_champion
from tests.serve.trained_attributes import (
    Trained,
    bad_attributes,
    refusal_of,
    require_words,
    typed_fields,
)

pytestmark = [pytest.mark.anyio, *on_two_cores(minutes=8)]
DAYS = 300
NOW = day(DAYS)
RULES = """
version: 7
rules:
- {id: monthly_in_the_south, when: contract_type == "monthly" and region == "south" and addons <= 2,
   action: CONTACT, reason: monthly in the south, confidence: 0.5, priority: 1, owner: team}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    options = write_attributes(write_accounts(folder / "plain", days=DAYS), folder / "own")
    changes: dict[str, Any] = {**SMALL, **options, "alias": "champion"}
    changes |= {"output": str(folder / "out"), "registry": str(folder / "registry")}
    train.main(TrainConfig(**changes))
    return Trained(options, folder / "out", folder / "registry")


@pytest.fixture
async def app(trained: Trained, tmp_path: Path) -> AsyncIterator[Running]:
    async with churn(tmp_path, NOW, registry=str(trained.registry)) as running:
        yield running


def signed(**fields: Any) -> dict[str, Any]:
    begun = iso(NOW - 200 * DAY)
    row = {"customer_id": "new", "event_time": begun, "contract_start": begun, "seats": 10}
    return {**row, "segment": "small", "mrr_minor": 200_000, **fields}


async def features_of(app: Running, answer: dict[str, Any]) -> dict[str, Any]:
    decision = await app.service.decision_store.find(answer["prediction_id"])
    return dict(decision.features)


async def scored(app: Running, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    await app.post("events", {"customers": [signed(**fields)]})
    answer = await app.post("score", {"customer_id": "new"})
    return answer, await features_of(app, answer)


def test_a_trained_model_carries_attributes_and_their_reference(trained: Trained) -> None:
    model = load_model(trained.output / "model")
    assert model.names[-5:] == (
        "contract_type_code",
        "region_code",
        "addons",
        "has_sso",
        "discount",
    )
    codes = [model.names.index(name) for name in ("contract_type_code", "region_code")]
    assert set(codes) <= set(model.linear.squash.coded[:, 0].tolist())
    reference = (trained.output / "model" / REFERENCE_FILE).read_text()
    assert all(f'"{name}"' in reference for name in model.names[-5:])
    assert "the kind of contract" in (trained.output / "report.html").read_text()


async def test_attributes_of_a_request_are_in_the_score(app: Running) -> None:
    answer, features = await scored(
        app, contract_type="monthly", region="south", addons=3, has_sso=True, discount=-1e-9
    )
    assert (answer["method"], answer["model_version"] is not None) == ("model", True)
    own = ("contract_type_code", "region_code", "addons", "has_sso", "discount")
    assert [features[name] for name in own] == [1.0, 3.0, 3.0, 1.0, -1e-9]


async def test_attributes_that_are_left_out_or_never_seen(app: Running) -> None:
    answer, features = await scored(app, region="west")
    assert answer["method"] == "model"
    assert features["region_code"] == 0.0
    missing = ("contract_type_code", "addons", "has_sso", "discount")
    assert np.isnan([features[name] for name in missing]).all()
    counted = app.meter.text()
    assert 'forewarn_churn_attributes_total{attribute="region",state="unknown"} 1.0' in counted
    assert 'forewarn_churn_attributes_total{attribute="addons",state="missing"} 1.0' in counted
    assert 'attribute="region",state="missing"' not in counted


async def test_a_service_scores_as_the_nightly_job(trained: Trained, tmp_path: Path) -> None:
    output = tmp_path / "scores"
    score.main(
        ScoreConfig(
            **trained.options, output=str(output), registry=str(trained.registry), progress="none"
        )
    )
    nightly = {row["customer_id"]: row for row in pq.read_table(output / "data").to_pylist()}
    source = pq.read_table(trained.options["customers"]).to_pylist()
    base = base_in(trained.output / "model")
    ids = sorted(nightly)[:6]
    at_us = nightly[ids[0]]["as_of"]
    rows = [_sent(row) for row in source if row["customer_id"] in ids and row["event_time"] < at_us]
    now = round(at_us.timestamp() * 1e6)
    async with churn(tmp_path / "app", now, registry=str(trained.registry)) as app:
        await app.post("events", {"customers": rows})
        for name in ids:
            features = await features_of(app, await app.post("score", {"customer_id": name}))
            own = [each.feature_name for each in base.attributes]
            computed = [nightly[name][f"feature:{feature}"] for feature in own]
            served = np.array([features[feature] for feature in own])
            np.testing.assert_array_equal(served, np.array(computed, np.float64))


def _sent(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the file as a caller sends it."""
    values = {"contract_type" if name == "KIND" else name: value for name, value in row.items()}
    values["has_sso"] = {"Y": True, "N": False, None: None}[row["has_sso"]]
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in values.items()
        if value is not None
    }


@pytest.mark.parametrize(
    ("fields", "field"), bad_attributes("customers.0", "region", "addons", "has_sso")
)
async def test_bad_attributes_are_refused_by_name(
    app: Running, fields: dict[str, Any], field: str
) -> None:
    refused = await app.post("events", {"customers": [signed(**fields)]}, status=422)
    assert field in str(refused)
    assert (await app.post("score", {"customer_id": "new"}, status=404))["status"] == 404


async def test_the_same_row_with_another_attribute_contradicts(app: Running) -> None:
    for region, outcome in (("south", "new"), ("south", "repeated"), ("north", "contradicting")):
        answer = await app.post("events", {"customers": [signed(region=region)]})
        assert answer["tables"]["customers"][outcome] == 1


async def test_rules_read_attributes_as_texts_and_numbers(app: Running) -> None:
    await app.service.reconfigure({"rules": RULES})
    answer, _ = await scored(app, contract_type="monthly", region="south", addons=2)
    assert (answer["rule_id"], answer["decision"]) == ("monthly_in_the_south", "CONTACT")
    decision = await app.service.decision_store.find(answer["prediction_id"])
    assert decision.request["region"] == "south"
    await app.post("events", {"customers": [signed(event_time=iso(NOW - 9 * DAY), region="north")]})
    assert (await app.post("score", {"customer_id": "new"}))["rule_id"] is None


async def test_reasons_name_attributes_in_the_words_of_the_mapping(app: Running) -> None:
    words_by_feature: dict[str, str] = {}
    for number, addons in enumerate((0, 9)):
        row = signed(customer_id=f"n{number}", contract_type="monthly", addons=addons)
        await app.post("events", {"customers": [row]})
        answer = await app.post("score", {"customer_id": f"n{number}"})
        words_by_feature |= {reason["feature"]: reason["words"] for reason in answer["reasons"]}
    require_words(
        words_by_feature,
        {"contract_type_code": "the kind of contract: monthly;", "addons": "add-ons booked: "},
    )


async def test_the_api_page_has_a_typed_field_for_each_attribute(app: Running) -> None:
    types = {"region": "string", "addons": "number", "has_sso": "boolean"}
    fields = await typed_fields(app.client, "churn", "CustomersRow", **types)
    number, description = fields["addons"]["anyOf"][0], fields["addons"]["description"]
    assert (number["maximum"], description) == (1000, "Add-ons booked; add-ons; default: null.")


async def test_a_model_of_other_attributes_is_refused_with_what_to_do(
    trained: Trained, tmp_path: Path
) -> None:
    artifact = save(plain_model(), tmp_path / "model")
    registry = publish_champion(tmp_path, "churn", artifact, CREATED_AT)
    version = Registry(registry).publish(trained.output / "model", "churn")
    async with churn(tmp_path, NOW, registry=str(registry)) as app:
        refusal = await refusal_of(app.service, version)
        assert "reads other attributes of customers" in refusal
        assert "attribute 'region': category (values east|north|south) against none" in refusal
        await app.post("events", {"customers": [signed()]})
        refused = await app.post("events", {"customers": [signed(region="south")]}, status=422)
        assert "customers.0.region" in str(refused)


def test_data_that_lacks_an_attribute_of_the_model_is_not_scored(
    trained: Trained, tmp_path: Path
) -> None:
    changed = tmp_path / "customers.yaml"
    changed.write_text(mapping("  region: {from: region, type: category}"))
    options = {
        **trained.options,
        "mapping_customers": str(changed),
        "output": str(tmp_path / "out"),
    }
    config = ScoreConfig(**options, registry=str(trained.registry), progress="none")
    with pytest.raises(ContractError, match=r"attribute 'contract_type'.*under 'attributes'"):
        score.main(config)
