"""What the access log says of a request that was refused."""

from pathlib import Path

import pytest

from serve.framework.problem import FieldError
from serve.framework.refused_fields import declared_names, log_names
from tests.serve.echo_gateway import World

DOCUMENT = {
    "paths": {"/labels": {"get": {"parameters": [{"in": "query", "name": "limit"}]}}},
    "components": {"schemas": {"Label": {"properties": {"observed_at": {"type": "string"}}}}},
}


def test_names_of_an_api_are_its_properties_and_parameters() -> None:
    assert declared_names(DOCUMENT) == {"limit", "observed_at", "body"}


def test_positions_and_names_of_the_callers_own_are_left_out() -> None:
    paths = ("labels.3.observed_at", "labels.7.observed_at", "labels.0.Jane Doe", "4711", "body")
    names = log_names([FieldError(path, "") for path in paths], {"labels", "observed_at", "body"})
    assert names == ["body", "labels.observed_at", "labels.other", "other"]


@pytest.mark.anyio
async def test_the_access_log_names_refused_fields_but_no_undeclared_one(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    answer = await world.client.post("/refused", headers=world.key)
    assert answer.status_code == 422
    assert [line["refused_fields"] for line in world.lines()] == [["other"]]


@pytest.mark.anyio
async def test_other_answers_name_no_fields(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.client.post("/echo", headers=world.key)
    assert "refused_fields" not in world.lines()[0]
