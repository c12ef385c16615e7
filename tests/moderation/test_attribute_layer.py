"""What attributes of posts add: learnt beside the modalities, never against them, to the bit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from lib.calibration import Calibrator
from lib.evaluation import average_precision
from lib.feature.attributes import write_attributes
from lib.moderation.explanation.modality import explain_modalities
from lib.moderation.model.attribute_inputs import AttributeInputs, attributes_in
from lib.moderation.model.attribute_layer import ATTRIBUTES_FILE, AttributeLayer
from lib.moderation.model.attribute_report import attribute_facts, attribute_sections
from lib.moderation.model.attribute_training import AttributeSamples, fit_attribute_layer
from lib.moderation.model.challenger import load as load_challenger
from lib.moderation.model.challenger import pack_post, score_of, views_of
from lib.moderation.model.comparison import FittedModel
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import Fusion
from lib.moderation.model.fusion_version import load_fusion_version
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.model import load_model, open_artifact, read_attributes_of
from lib.moderation.model.outputs import Floats, Ints, ModelError
from lib.moderation.policies import POLICIES_FILE, load_policies
from lib.moderation.post_attributes import served_difference
from lib.registry import ArtifactError
from tests.moderation.attribute_model import (
    AGE,
    ATTRIBUTES,
    CHANNEL,
    EMULATED,
    GROUP,
    attributed_model,
    fused_with,
    plain_model,
    unseen,
)
from tests.moderation.small_model import POLICIES, parts
from tests.moderation.small_model import save as save_model

NAN = float("nan")


def layer() -> AttributeLayer:
    own = fused_with(True).fusion.layer
    assert own is not None
    return own


def test_attributes_that_tell_are_read_and_help_on_posts_that_nothing_learnt_from() -> None:
    (posts, answers, features, targets), fusion = unseen(), fused_with(True).fusion
    fused = fusion.answer(answers, posts.presence, features)
    plain = fusion.without_attributes(answers, posts.presence)
    for name in ("prohibited_item", "contextual"):
        p = POLICIES.index(name)
        assert layer().gains[p].is_read
        flags = targets[:, p] > 0.5
        gain = average_precision(flags, fused[:, p]) - average_precision(flags, plain[:, p])
        assert gain > 0.1, name


def test_without_attributes_the_model_is_what_it_was() -> None:
    posts, answers, _, _ = unseen()
    fusion, before = fused_with(True).fusion, fused_with(False).fusion
    plain = fusion.without_attributes(answers, posts.presence)
    np.testing.assert_array_equal(plain, before.answer(answers, posts.presence))
    files, former = fusion.files(), before.files()
    assert files["fusion.safetensors"] == former["fusion.safetensors"]
    about = json.loads(files["fusion.json"])
    assert about.pop("attributes") is True
    assert about == json.loads(former["fusion.json"])
    assert set(files) - set(former) == {ATTRIBUTES_FILE, "attributes.safetensors"}
    assert before.attributes == ()
    assert before.encoded([{"group": "chess"}]) is None


def test_attributes_that_tell_nothing_are_not_read() -> None:
    posts, answers, features, _ = unseen()
    fused, before = fused_with(True, tells=False), fused_with(False, tells=False)
    fusion = fused.fusion
    assert fusion.layer is not None
    assert not any(gain.is_read for gain in fusion.layer.gains)
    np.testing.assert_array_equal(fused.log_odds, before.log_odds)
    answer = fusion.answer(answers, posts.presence, features)
    np.testing.assert_array_equal(answer, before.fusion.answer(answers, posts.presence))
    together, single = fusion.attribute_contributions(answers, posts.presence, features)
    assert not together.any()
    assert set(single) == {each.name for each in ATTRIBUTES}


def test_a_post_gets_the_same_bits_alone_and_among_others() -> None:
    spoken = np.random.default_rng(1).normal(0.0, 4.0, (40, len(POLICIES)))
    features = unseen()[2][:40]
    many = layer().answer(spoken, features)
    rows = range(len(spoken))
    single = [layer().answer(spoken[[k]], features[[k]]) for k in rows]
    np.testing.assert_array_equal(many, np.concatenate(single))
    assert (many != spoken).any()


def test_a_stored_layer_answers_the_same_bits() -> None:
    fusion = fused_with(True).fusion
    files = fusion.files()
    again = Fusion.read(files.__getitem__, Runtime())
    posts, answers, features, _ = unseen()
    np.testing.assert_array_equal(
        again.answer(answers, posts.presence, features),
        fusion.answer(answers, posts.presence, features),
    )
    assert again.attributes == ATTRIBUTES == attributes_in(files[ATTRIBUTES_FILE])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("direct", lambda array: array[:-1]),
        ("offset", lambda array: np.full_like(array, NAN)),
        ("outward", lambda array: array.astype(np.float32)),
        ("rates.3", lambda array: array[:-1]),
    ],
)
def test_a_damaged_layer_is_refused(name: str, change) -> None:
    files = dict(fused_with(True).fusion.files())
    arrays = load(files["attributes.safetensors"])
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    files["attributes.safetensors"] = save(arrays)
    with pytest.raises(ModelError):
        Fusion.read(files.__getitem__, Runtime())


def test_the_scaling_of_other_columns_is_refused() -> None:
    files = dict(fused_with(True).fusion.files())
    metadata = json.loads(files[ATTRIBUTES_FILE])
    metadata["inputs"]["edges"][1] = [0.0, 1.0]
    files[ATTRIBUTES_FILE] = json.dumps(metadata).encode()
    with pytest.raises(ModelError, match="the scaling is of other columns"):
        Fusion.read(files.__getitem__, Runtime())
    metadata["inputs"]["edges"][1] = [1.0, 0.0]
    files[ATTRIBUTES_FILE] = json.dumps(metadata).encode()
    with pytest.raises(ModelError, match="'account_age': expected ascending edges"):
        Fusion.read(files.__getitem__, Runtime())


def test_features_that_lack_are_refused() -> None:
    posts, answers, features, _ = unseen()
    fusion = fused_with(True).fusion
    with pytest.raises(ModelError, match=r"attributes: expected those of \d+ posts, got none"):
        fusion.answer(answers, posts.presence)
    with pytest.raises(ModelError, match="expected 4 features of each post"):
        fusion.answer(answers, posts.presence, features[:, :2])


def inputs(values: Floats) -> AttributeInputs:
    targets = (values[:, 3] <= 5.0).astype(float)[:, None]
    return AttributeInputs.fit(ATTRIBUTES, values, values, targets)


def test_missing_is_average_and_told_apart_from_unknown() -> None:
    features = unseen()[2]
    own = inputs(features)
    missing = own.apply(np.full((1, 4), NAN))[0]
    unknown = own.apply(np.array([[0.0, 30.0, 1.0, 0.0]]))[0]
    assert (missing != unknown).any()
    columns = own.scaling.columns
    flags = [k for k, name in enumerate(columns) if name.endswith("missing")]
    assert len(flags) == 4
    assert missing[flags].tolist() == [1.0] * 4
    assert not np.delete(missing, flags).any()
    assert not unknown[flags].any()
    assert set(own.owners.tolist()) == {0, 1, 2, 3}


def test_a_number_may_bend_and_ends_where_training_ended() -> None:
    own = inputs(unseen()[2])
    rows = np.full((5, 4), NAN)
    rows[:, 1] = (0.0, 20.0, 150.0, 36500.0, 1e300)
    columns = own.apply(rows)[:, own.owners == 1]
    assert len({tuple(row) for row in columns.tolist()}) == 4
    np.testing.assert_array_equal(columns[3], columns[4])


def test_many_values_are_read_by_how_often_they_violate() -> None:
    own = inputs(unseen()[2])
    rates = own.rates[3][:, 0]
    assert len(rates) == len(CHANNEL.vocabulary) + 1
    assert rates[0] == 0.0
    assert rates[1:6].min() > 1.0
    assert rates[6:].max() < 0.0


def test_attributes_of_which_nothing_varies_add_nothing() -> None:
    rng = np.random.default_rng(2)
    targets = (rng.random((80, 1)) < 0.4).astype(float)
    samples = AttributeSamples(
        (AGE,), np.full((80, 1), 3.0), np.arange(80), np.full((5, 1), 3.0), np.zeros((5, 1))
    )

    def calibrate(odds: Floats, own: Floats, folds: Ints) -> Calibrator:
        del odds, own, folds
        return Calibrator("temperature", (0.0,), (0.0,))

    folds = np.arange(80) % 4
    fitted = fit_attribute_layer(samples, np.zeros((80, 1)), targets, folds, 1, calibrate)
    assert fitted.layer.inputs.width == 0
    assert not fitted.log_odds.any()
    again = AttributeLayer.read(fitted.layer.files().__getitem__, 1)
    assert not again.answer(np.zeros((2, 1)), np.full((2, 1), NAN)).any()
    other = replace(samples, features=samples.features[:5])
    with pytest.raises(ModelError, match="attributes: expected 80 posts, got 5"):
        fit_attribute_layer(other, np.zeros((80, 1)), targets, folds, 1, calibrate)


def test_contributions_are_beside_an_average_post() -> None:
    (posts, answers, features, _), fusion = unseen(), fused_with(True).fusion
    together, single = fusion.attribute_contributions(answers, posts.presence, features)
    p = POLICIES.index("contextual")
    young = features[:, 1] < 10.0
    assert single["account_age"][young, p].mean() > 0.1
    assert single["account_age"][features[:, 1] > 200.0, p].mean() < -0.1
    assert np.corrcoef(sum(single.values())[:, p], together[:, p])[0, 1] > 0.8
    shares = explain_modalities(fusion, answers, posts.presence, features)
    assert set(shares) == {"text", "image", "video"}


def test_an_artifact_says_which_attributes_it_reads(tmp_path) -> None:
    folder = save_model(attributed_model(), tmp_path / "model")
    assert read_attributes_of(open_artifact(folder)) == ATTRIBUTES
    plain = save_model(plain_model(), tmp_path / "plain")
    assert read_attributes_of(open_artifact(plain)) == ()
    text = parts()[2].texts[0]
    posts = [PostInputs(text, attributes=row) for row in ({"account_age": 1.0}, {}, {"group": "x"})]
    stored = load_model(folder).log_odds(posts)
    np.testing.assert_array_equal(stored, attributed_model().log_odds(posts))
    assert (stored[0] != stored[1]).any()
    assert load_fusion_version(folder, POLICIES).fusion.attributes == ATTRIBUTES


def test_other_attributes_are_named_and_other_values_are_not() -> None:
    other = replace(GROUP, vocabulary=("cars",), words="community")
    assert served_difference((GROUP, AGE), (AGE, other)) == ""
    text = served_difference((GROUP, EMULATED), (replace(EMULATED, type="number"), AGE))
    assert "attribute 'group': category against none" in text
    assert "attribute 'emulated': flag against number" in text
    assert "attribute 'account_age': none against number (unit days" in text


def test_a_challenger_reads_attributes_and_one_of_others_is_refused(tmp_path) -> None:
    folder = save_model(attributed_model(), tmp_path / "model")
    served = [replace(each, vocabulary=()) for each in ATTRIBUTES]
    options = {"policies": list(POLICIES), "attributes": write_attributes(served)}
    challenger = load_challenger(folder, options)
    text = parts()[2].texts[0]
    for row in ({"account_age": 1.0, "group": "politics", "emulated": True}, {}):
        post = PostInputs(text, attributes=row)
        packed = pack_post(views_of(challenger.about), post)
        [answer] = challenger.answers([packed])
        scores, _ = score_of(POLICIES, answer, challenger.about)
        expected = 1.0 / (1.0 + np.exp(-attributed_model().log_odds([post])[0]))
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
    with pytest.raises(ArtifactError, match="other attributes of posts than the service takes"):
        load_challenger(folder, {**options, "attributes": []})


def test_the_report_names_what_alone_tells_a_policy_apart() -> None:
    posts, answers, features, targets = unseen()
    fitted = FittedModel(
        model=attributed_model(),
        policies=load_policies(POLICIES_FILE.read_text()),
        answers=answers,
        presence=posts.presence,
        targets=targets,
        texts=[""] * len(posts),
        authors=np.arange(len(posts)),
        languages=[None] * len(posts),
        reach=np.zeros(len(posts)),
        features=features,
    )
    facts = attribute_facts(fitted, seed=1, repeats=10)
    assert facts["likely_leaks"] == []
    assert set(facts["read"]) == {each.name for each in ATTRIBUTES}
    assert facts["gain"]["low"] > 0.0
    [section] = attribute_sections(facts)
    assert "Read of " in str(section.blocks)
    p = POLICIES.index("contextual")
    _, single = fitted.model.fusion.attribute_contributions(answers, posts.presence, features)
    changed = targets.copy()
    changed[:, p] = single["account_age"][:, p] > 0.5
    leaking = attribute_facts(replace(fitted, targets=changed), seed=1, repeats=10)
    names = [(leak["attribute"], leak["policy"]) for leak in leaking["likely_leaks"]]
    assert names == [("account_age", "contextual")]
    [section] = attribute_sections(leaking)
    assert "'account_age' alone tells contextual apart (AUC 1.000)" in str(section.blocks)
    unread = {**facts, "policies": {"hate": {**facts["policies"]["hate"], "is_read": False}}}
    [section] = attribute_sections(unread)
    assert "Attributes help with no policy beyond doubt" in str(section.blocks)
    assert attribute_sections({}) == []
    assert attribute_facts(replace(fitted, model=plain_model(), features=None), seed=1) == {}
