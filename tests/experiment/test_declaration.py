import json

import pytest

from lib.declaration import DeclarationError, check_declaration, load_declaration
from lib.experiment.declaration import Experiment
from lib.experiment.errors import ExperimentError
from lib.registry.names import to_iso
from tests.experiment.factories import CHALLENGER, CHAMPION, DAY, experiment
from tests.records.conftest import NOVEMBER


def refusal(**changes: object) -> str:
    content = experiment().model_dump(mode="json") | changes
    with pytest.raises(DeclarationError) as refused:
        check_declaration(content, Experiment, "experiment")
    return str(refused.value)


def test_an_experiment_is_the_same_after_it_was_json() -> None:
    declared = experiment(guardrails={"p99_ms": 40.0})
    text = json.dumps(declared.model_dump(mode="json"))
    assert to_iso(NOVEMBER + 14 * DAY) in text
    assert Experiment.model_validate(json.loads(text)) == declared


def test_yaml_declares_one_with_a_time_in_its_zone() -> None:
    text = "name: n\nsystem: churn\nuntil: 2026-12-01T00:00:00+01:00\nshare: 0.5\n"
    declared = load_declaration(text, Experiment, "x.yaml")
    assert declared.until == 1_796_079_600_000_000
    assert (declared.mode, declared.entity_name) == ("shadow", "customer_id")
    assert (declared.champion, declared.challenger) == ("champion", "challenger")


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.0, 1.5])
def test_in_ab_mode_both_arms_have_somebody(share: float) -> None:
    assert "share: expected between 0 and 1 in ab mode" in refusal(share=share)


def test_what_to_use_for_a_share_of_none_or_all_is_in_the_error() -> None:
    assert "use shadow mode" in refusal(share=0.0)
    assert "promote the challenger instead" in refusal(share=1.0)


def test_in_shadow_mode_all_may_be_scored_but_not_nobody() -> None:
    assert experiment(mode="shadow", share=1.0).share == 1.0
    assert "above 0 and up to 1 in shadow mode, got 0.0" in refusal(mode="shadow", share=0.0)


def test_a_number_that_is_none_is_no_share() -> None:
    assert "share" in refusal(share=float("nan"))


def test_an_experiment_with_itself_is_refused() -> None:
    assert "nothing could differ" in refusal(challenger=CHAMPION)
    declared = experiment(champion="champion", challenger="challenger")
    with pytest.raises(ExperimentError, match="an experiment with itself shows nothing"):
        declared.with_versions({"champion": CHAMPION, "challenger": CHAMPION})


def test_aliases_become_versions() -> None:
    declared = experiment(champion="champion", challenger="challenger")
    versions = {"champion": CHAMPION, "challenger": CHALLENGER}
    assert declared.with_versions(versions) == experiment()
    with pytest.raises(ExperimentError, match="challenger: the alias challenger names no version"):
        declared.with_versions({"champion": CHAMPION})


def test_an_unknown_entity_is_refused() -> None:
    assert "entity: expected user_id, by which" in refusal(entity="merchant")
    assert experiment(entity="user_id").entity_name == "user_id"


@pytest.mark.parametrize("until", ["2026-12-01T00:00:00", "soon", 12, True, 1.5])
def test_a_time_without_its_zone_or_from_another_clock_is_refused(until: object) -> None:
    assert "until" in refusal(until=until)


def test_an_end_in_the_past_is_refused() -> None:
    experiment().require_future(NOVEMBER)
    with pytest.raises(ExperimentError, match="until: expected a time after now"):
        experiment().require_future(NOVEMBER + 14 * DAY)
    experiment(until=None).require_future(NOVEMBER)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Two Words"), ("system", "frauds"), ("challenger", "newest"), ("mode", "abtest")],
)
def test_a_wrong_field_is_named(field: str, value: str) -> None:
    assert f"experiment: {field}" in refusal(**{field: value})


def test_a_misspelt_guardrail_is_named() -> None:
    assert "p99" in refusal(guardrails={"p99": 20})
