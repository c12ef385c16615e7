"""A moderation model with attributes over HTTP: typed, counted, in rules, answers and records."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.moderation.post_events import POST, to_events
from jobs.moderation.scoring import ModelLocation, PostScorer, answers_schema
from lib.calibration import sigmoid
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.model import ModerationModel
from lib.moderation.policies import load_policies
from lib.moderation.post_attributes import PREFIX
from lib.records.json_codec import read_json
from lib.registry import Registry
from tests.moderation import small_model
from tests.moderation.attribute_model import (
    AGE,
    ATTRIBUTES,
    CHANNEL,
    GROUP,
    attributed_model,
    plain_model,
)
from tests.serve.application import publish_champion
from tests.serve.moderation_app import CREATED_AT, POLICIES, Running, moderation
from tests.serve.trained_attributes import bad_attributes, refusal_of, typed_fields

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
SENT = {"group": "politics", "account_age": 0.1 + 0.2, "emulated": True, "channel": "channel 3"}
RULES = """
version: 7
rules:
- {id: young_politics, when: group == "politics" and account_age < 1 and emulated == 1,
   action: REMOVE, reason: a new account in politics, confidence: 0.5, priority: 1, owner: team}
"""


def publish(folder: Path, model: ModerationModel) -> Path:
    """A registry whose champion is a model."""
    artifact = small_model.save(model, folder / "model")
    return publish_champion(folder, "moderation", artifact, CREATED_AT)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("published"), attributed_model())


@pytest.fixture
async def app(registry: Path, tmp_path: Path) -> AsyncIterator[Running]:
    async with moderation(tmp_path / "a", registry) as running:
        yield running


def post(name: str, **fields: object) -> dict[str, object]:
    text = small_model.parts()[2].texts[0]
    return {"post_id": name, "author_id": "ann", "text": text, **fields}


def probabilities(answer: dict[str, Any]) -> list[float]:
    return [policy["probability"] for policy in answer["policies"].values()]


async def stored(app: Running, name: str) -> Any:
    await app.settled()
    return await app.service.decision_store.find(name)


async def test_attributes_of_a_request_are_in_the_answer_the_model_and_the_record(
    app: Running,
) -> None:
    answer = await app.post("posts", post("p", attributes=SENT))
    assert answer["attributes"] == SENT
    other = await app.post("posts", post("q"))
    assert other["attributes"] == {}
    for each, own in ((answer, SENT), (other, {})):
        inputs = PostInputs(str(post("p")["text"]), attributes=own)
        expected = sigmoid(attributed_model().log_odds([inputs]))[0]
        np.testing.assert_allclose(probabilities(each), expected, rtol=1e-9)
    assert probabilities(answer) != probabilities(other)
    view = await app.get("posts/p")
    assert view["first"]["attributes"] == SENT
    decision = await stored(app, "p")
    assert decision.request["attributes"] == SENT
    values = [decision.features[each.feature_name] for each in ATTRIBUTES]
    assert values == [2.0, 0.1 + 0.2, 1.0, 4.0]
    lacking = (await stored(app, "q")).features
    assert np.isnan([lacking[each.feature_name] for each in ATTRIBUTES]).all()
    assert "posts_by_author" in lacking
    assert "attributes" not in (await stored(app, "q")).request


async def test_attributes_that_are_left_out_or_never_seen_are_counted(app: Running) -> None:
    await app.post("posts", post("p", attributes={"group": "cars", "emulated": False}))
    counted = app.meter.text()
    head = "forewarn_moderation_attributes_total"
    assert f'{head}{{attribute="group",state="unknown"}} 1.0' in counted
    assert f'{head}{{attribute="account_age",state="missing"}} 1.0' in counted
    assert 'attribute="group",state="missing"' not in counted
    assert 'attribute="emulated"' not in counted


async def test_the_same_post_again_gets_its_answer_and_another_age_is_another_post(
    app: Running,
) -> None:
    first = await app.post("posts", post("p", attributes=SENT))
    assert await app.post("posts", post("p", attributes=SENT)) == first
    await app.post("posts", post("p", attributes={**SENT, "account_age": 7.0}), status=409)
    empty = await app.post("posts", post("q"))
    for unknown in (None, {}, {"group": None}):
        assert await app.post("posts", post("q", attributes=unknown)) == empty


@pytest.mark.parametrize(
    ("attributes", "field"), bad_attributes("attributes", "group", "account_age", "emulated")
)
async def test_bad_attributes_are_refused_by_name(
    app: Running, attributes: dict[str, Any], field: str
) -> None:
    refused = await app.post("posts", post("p", attributes=attributes), status=422)
    assert field in str(refused)


async def test_the_api_page_has_a_typed_field_for_each_attribute(app: Running) -> None:
    types = {
        "group": "string",
        "account_age": "number",
        "emulated": "boolean",
        "channel": "string",
    }
    fields = await typed_fields(app.client, "moderation", "PostAttributes", **types)
    assert set(fields) == set(types)
    assert fields["account_age"]["description"] == "Age of the account; days; null if unknown."
    assert fields["account_age"]["anyOf"][0]["maximum"] == 36500


async def test_rules_read_attributes_as_texts_and_numbers(app: Running) -> None:
    await app.service.reconfigure({"rules": RULES})
    answer = await app.post("posts", post("p", attributes=SENT))
    assert (answer["rule_id"], answer["decision"]) == ("young_politics", "REMOVE")
    for name, value in (("group", "chess"), ("account_age", None), ("emulated", False)):
        other = post(f"not {name}", attributes={**SENT, name: value})
        assert (await app.post("posts", other))["rule_id"] is None
    assert (await app.post("posts", post("none")))["rule_id"] is None


async def test_an_explanation_has_attributes_beside_the_modalities(app: Running) -> None:
    await app.post("posts", post("p", attributes=SENT))
    response = await app.get("posts/p/explanation?policy=contextual")
    explanation = response["explanation"]
    assert set(explanation["modalities"]) == {"text", "attributes"}
    assert set(explanation["attributes"]) == set(SENT)
    assert explanation["attributes"]["account_age"] > 0.1
    assert explanation["modalities"]["attributes"] > 0.1


async def test_a_fallback_is_scored_again_with_its_attributes(
    registry: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "registry"
    async with moderation(tmp_path / "a", registry) as app:
        expected = probabilities(await app.post("posts", post("first", attributes=SENT)))
        slot = app.service.model_slot
        model, slot.current = slot.current, None
        answer = await app.post("posts", post("p", attributes=SENT))
        assert answer["method"] == "fallback"
        slot.current = model
        await app.settled()
        later = (await app.get("posts/p"))["afterwards"]
    assert probabilities(later) == expected
    assert not empty.exists()


async def test_batch_scoring_computes_what_the_service_does_to_the_bit(
    app: Running, registry: Path, tmp_path: Path
) -> None:
    policies = load_policies(POLICIES)
    scorer = PostScorer(
        ModelLocation(None, str(registry), "champion", policies, 1), str(tmp_path / "q"), 0.0
    )
    schema = answers_schema(ATTRIBUTES)
    texts = small_model.parts()[2].texts
    rng = np.random.default_rng(5)
    differing = 0
    for k in range(12):
        own = {name: value for name, value in SENT.items() if rng.random() < 0.7}
        if "account_age" in own:
            own["account_age"] = float(np.exp(rng.normal(3.0, 2.0)))
        answer = await app.post("posts", post(f"p{k}", text=texts[k], attributes=own))
        row = {f"{PREFIX}{name}": value for name, value in own.items()}
        facts = {"post_id": f"p{k}", "author_id": "ann", "text": texts[k], **row}
        table = pa.Table.from_pylist([facts], schema=schema)
        scores = scorer(to_events(table, POST, schema)).to_pylist()[0]
        computed = [scores[f"p_{name}"] for name in policies.ids]
        assert computed == probabilities(answer)
        plain = scorer(to_events(table.select(["post_id", "author_id", "text"]), POST, schema))
        differing += computed != [plain.to_pylist()[0][f"p_{name}"] for name in policies.ids]
    assert differing > 6


async def test_a_model_of_other_attributes_is_refused_with_what_to_do(
    registry: Path, tmp_path: Path
) -> None:
    own = publish(tmp_path / "own", plain_model())
    async with moderation(tmp_path / "a", own) as app:
        version = Registry(own).publish(registry.parent / "model", "moderation")
        refusal = await refusal_of(app.service, version)
        assert "reads other attributes of posts" in refusal
        assert "'emulated': flag against none" in refusal
        assert app.service.restart_reason == ""  # it has a model that answers
        body = post("p", attributes={"group": "chess"})
        assert "attributes" in str(await app.post("posts", body, status=422))
        assert (await app.post("posts", post("p")))["method"] == "model"
        document = (await app.client.get("/moderation/openapi.json")).json()
        assert "PostAttributes" not in document["components"]["schemas"]


async def test_a_model_of_other_values_is_taken_without_a_restart(
    registry: Path, tmp_path: Path
) -> None:
    shutil.copytree(registry, tmp_path / "registry")
    first = attributed_model()
    assert first.fusion.layer is not None
    inputs = first.fusion.layer.inputs
    group = replace(GROUP, vocabulary=("politics", "chess"))
    changed = replace(inputs, attributes=(group, *inputs.attributes[1:]))
    layer = replace(first.fusion.layer, inputs=changed)
    later = replace(first, fusion=replace(first.fusion, layer=layer))
    async with moderation(tmp_path / "a", tmp_path / "registry") as app:
        before = probabilities(await app.post("posts", post("p", attributes=SENT)))
        folder = small_model.save(later, tmp_path / "later")
        version = Registry(tmp_path / "registry").publish(folder, "moderation")
        await app.service.reconfigure({"model": version})
        assert app.service.model_slot.version == version
        swapped = {**SENT, "group": "chess"}
        assert probabilities(await app.post("posts", post("q", attributes=swapped))) == before
        assert (await stored(app, "q")).features["group_code"] == 2.0


async def test_a_service_that_began_without_its_model_asks_to_be_started_again(
    registry: Path, tmp_path: Path
) -> None:
    place_of_models = tmp_path / "registry"
    async with moderation(tmp_path / "a", place_of_models) as app:
        assert app.service.restart_reason == ""
        shutil.copytree(registry, place_of_models)
        await app.service.reconfigure({"model": "champion"})
        assert "reads other attributes of posts" in app.service.restart_reason
        assert (await app.post("posts", post("p")))["method"] == "fallback"
    async with moderation(tmp_path / "a", place_of_models) as again:
        assert again.service.restart_reason == ""
        answer = await again.post("posts", post("q", attributes=SENT))
        assert answer["method"] == "model"


async def test_a_post_sent_before_the_attributes_came_is_the_same_post_after(
    registry: Path, tmp_path: Path
) -> None:
    async with moderation(tmp_path / "a", publish(tmp_path / "plain", plain_model())) as app:
        first = await app.post("posts", post("p"))
        await app.settled()
    async with moderation(tmp_path / "a", registry) as again:
        assert await again.post("posts", post("p")) == first
        answer = read_json(json.dumps(first))
        assert answer["attributes"] == {}


def test_categories_of_many_values_are_among_those_that_are_sent() -> None:
    assert CHANNEL.encoding == "rate"
    assert AGE.feature_name == "account_age"
