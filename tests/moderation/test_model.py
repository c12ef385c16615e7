"""The model: each modality apart, put together, calibrated, saved and loaded."""

from __future__ import annotations

import json
import resource
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from lib.calibration import sigmoid
from lib.evaluation import roc_auc
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion_training import fit_fusion
from lib.moderation.model.fusion_version import load_fusion_version
from lib.moderation.model.image import ImageModel
from lib.moderation.model.inputs import PostInputs, batch_of
from lib.moderation.model.model import (
    ModerationModel,
    load_image,
    load_model,
    load_text,
    load_video,
    thresholds_of,
)
from lib.moderation.model.model_config import TINY
from lib.moderation.model.outputs import ModalityAnswer, ModelError, Presence
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import Run
from lib.moderation.model.video import VideoModel
from lib.registry import ArtifactError
from tests.moderation.composed_posts import inputs_of
from tests.moderation.small_model import (
    POLICIES,
    image_model,
    model,
    parts,
    save,
    text_model,
    unseen_posts,
    video_model,
)


def column(policy: str) -> int:
    return POLICIES.index(policy)


def test_the_model_finds_what_each_modality_shows():
    posts, probabilities, _ = unseen_posts()
    for policy in ("hate", "offensive", "violence", "prohibited_item"):
        p = column(policy)
        is_decoded = (posts.presence != Presence.FAILED).all(axis=1)
        assert roc_auc(posts.targets[is_decoded, p], probabilities[is_decoded, p]) > 0.9, policy


def test_fusion_sees_violations_that_no_modality_shows_alone():
    posts, probabilities, answers = unseen_posts()
    both = (posts.presence[:, :2] == Presence.PRESENT).all(axis=1)
    p = column("contextual")
    alone = max(
        roc_auc(posts.targets[both, p], answers[name].log_odds[both, p])
        for name in ("text", "image")
    )
    assert roc_auc(posts.targets[both, p], probabilities[both, p]) > alone + 0.03


def test_one_post_and_many_get_the_same_answer():
    posts = inputs_of(unseen_posts()[0], parts()[2])[:40]
    many = model().log_odds(posts)
    single = np.concatenate([model().log_odds([post]) for post in posts])
    np.testing.assert_allclose(many, single, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["text", "image", "video"])
def test_one_input_and_many_get_the_same_answer_of_a_modality(name):
    pieces = parts()[2]
    member, inputs = {
        "text": (text_model(), [*pieces.texts[:20], "", "a" * 5000]),
        "image": (image_model(), pieces.images[:20]),
        "video": (video_model(), pieces.clips[:20]),
    }[name]
    many = member.answer(inputs)
    for row, single in enumerate(inputs):
        answer = member.answer([single])
        np.testing.assert_allclose(answer.embeddings[0], many.embeddings[row], atol=1e-5)
        np.testing.assert_allclose(answer.log_odds[0], many.log_odds[row], atol=1e-5)
    assert many.embeddings.dtype == np.float32
    assert many.log_odds.shape == (len(inputs), len(POLICIES))
    assert len(member.answer([])) == 0


def test_a_stored_model_answers_the_same_and_its_parts_load_alone(tmp_path):
    folder = save(model(), tmp_path / "model")
    posts = inputs_of(unseen_posts()[0], parts()[2])[:30]
    loaded = load_model(folder)
    np.testing.assert_array_equal(loaded.log_odds(posts), model().log_odds(posts))
    assert loaded.version is not None
    batch = batch_of(posts)
    count = len(batch)
    answers = {
        "text": load_text(folder).answer(batch.texts).spread(batch.text_rows, count),
        "image": load_image(folder).answer(batch.images).pooled(batch.image_rows, count),
        "video": load_video(folder).answer(batch.clips).spread(batch.clip_rows, count),
    }
    apart = load_fusion_version(folder, POLICIES).fusion.answer(answers, batch.presence)
    np.testing.assert_array_equal(apart, model().log_odds(posts))


def test_a_damaged_or_foreign_artifact_is_refused(tmp_path):
    folder = save(model(), tmp_path / "model")
    with pytest.raises(ArtifactError, match="no answer for spam"):
        load_model(folder, policies=("hate", "spam"))
    (folder / "text.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"text\.json: expected"):
        load_model(folder)


def test_a_model_of_texts_alone_takes_images_for_something_nobody_saw(tmp_path):
    full_model = model()
    blind = ModerationModel(full_model.fusion, full_model.text, None, None, full_model.thresholds)
    folder = save(blind, tmp_path / "texts")
    with pytest.raises(ArtifactError, match="no model of image, only of text"):
        load_image(folder)
    assert load_model(folder).image is None


def test_absent_and_failed_are_different():
    text = parts()[2].texts[0]
    absent = model().log_odds([PostInputs(text=text)])
    failed = model().log_odds([PostInputs(text=text, failed=frozenset({"video"}))])
    assert not np.allclose(absent, failed)
    assert PostInputs(text=" ").presence == (Presence.ABSENT,) * 3


def test_the_worst_image_of_a_post_decides():
    images = parts()[2].images[:6]
    apart = image_model().answer(images)
    post = apart.pooled(np.zeros(6, dtype=np.int64), 2)
    np.testing.assert_array_equal(post.log_odds[0], apart.log_odds.max(axis=0))
    assert not post.log_odds[1].any()
    assert not post.embeddings[1].any()


def test_bad_inputs_are_refused_with_what_was_expected():
    with pytest.raises(ModelError, match=r"image: expected uint8 of shape .* got float64"):
        image_model().answer([np.zeros((8, 8, 3))])
    with pytest.raises(ModelError, match=r"clip: expected uint8 of shape .* \(8, 8, 3\)"):
        video_model().answer([np.zeros((8, 8, 3), dtype=np.uint8)])
    with pytest.raises(ModelError, match="failed: expected some of text, image, video"):
        PostInputs(failed=frozenset({"sound"}))
    with pytest.raises(ModelError, match=r"presence: expected shape \(posts, 3\)"):
        model().fusion.answer({}, np.zeros((2, 2), dtype=np.int8))
    with pytest.raises(ModelError, match="text: 1 posts have it, but no answer came"):
        model().fusion.answer({}, np.array([[1, 0, 0]], dtype=np.int8))
    with pytest.raises(ModelError, match="as many embeddings as log-odds"):
        ModalityAnswer(np.zeros((1, 2), dtype=np.float32), np.zeros((2, 2)))


def test_a_text_of_lone_surrogates_is_taken():
    assert np.isfinite(text_model().answer(["\ud800 \udfff ok"]).log_odds).all()


def test_a_threshold_is_the_chance_with_the_best_f1():
    odds = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]])
    thresholds = thresholds_of(odds, np.array([[0.0], [0], [1], [0], [1]]), ("spam",))
    assert thresholds["spam"] == pytest.approx(0.5)
    assert thresholds_of(odds, np.full((5, 1), np.nan), ("spam",)) == {"spam": 0.5}


def test_what_fusion_says_of_its_own_posts_is_as_sure_as_of_new_ones():
    """The least sure network is one that learnt labels by heart."""
    rng = np.random.default_rng(3)
    posts, width = 300, 40
    member_answers = {
        "text": ModalityAnswer(
            rng.normal(size=(posts, width)).astype(np.float32), np.zeros((posts, 1))
        )
    }
    marks = np.tile([Presence.PRESENT, Presence.ABSENT, Presence.ABSENT], (posts, 1))
    noise = (rng.random((posts, 1)) < 0.5).astype(np.float64)
    size = replace(TINY.fusion, dropout=0.0, learning=replace(TINY.fusion.learning, epochs=60))
    run = Run(1, Runtime(threads=1))
    folds = np.arange(posts) % 3
    fused = fit_fusion(member_answers, marks.astype(np.int8), noise, ("coin",), folds, size, run)
    rights = (fused.fusion.unguarded(member_answers, marks.astype(np.int8)) > 0) == (noise > 0.5)
    assert rights.mean() > 0.9
    assert np.abs(sigmoid(fused.log_odds) - 0.5).mean() < 0.1
    answers = fused.fusion.answer(member_answers, marks.astype(np.int8))
    assert np.abs(sigmoid(answers) - 0.5).mean() < 0.15


def test_fusion_needs_folds_of_its_posts():
    member_answers = {"text": ModalityAnswer(np.zeros((4, 2), np.float32), np.zeros((4, 1)))}
    marks = np.zeros((4, 3), np.int8)
    run = Run(1, Runtime(threads=1))
    with pytest.raises(ModelError, match="at least two folds, got 1"):
        fit_fusion(
            member_answers, marks, np.zeros((4, 1)), ("a",), np.zeros(4, int), TINY.fusion, run
        )
    with pytest.raises(ModelError, match=r"as many folds, got .* and 3"):
        fit_fusion(member_answers, marks, np.zeros((4, 1)), ("a",), np.arange(3), TINY.fusion, run)


def test_a_policy_whose_labels_are_all_in_one_fold_is_calibrated_too():
    rng = np.random.default_rng(4)
    posts = 120
    truth = (rng.random((posts, 1)) < 0.4).astype(np.float64)
    odds = 3.0 * truth - 1.5 + rng.normal(size=(posts, 1))
    member_answers = {"text": ModalityAnswer(np.zeros((posts, 2), np.float32), odds)}
    marks = np.tile([Presence.PRESENT, Presence.ABSENT, Presence.ABSENT], (posts, 1))
    folds = np.arange(posts) % 2
    labels = np.where(folds[:, None] == 0, truth, np.nan)
    run = Run(1, Runtime(threads=1))
    fused = fit_fusion(
        member_answers, marks.astype(np.int8), labels, ("a",), folds, TINY.fusion, run
    )
    assert (
        roc_auc(truth[folds == 1, 0], fused.fusion.answer(member_answers, marks)[folds == 1, 0])
        > 0.9
    )


@pytest.mark.parametrize(
    ("build", "part", "file", "section", "name"),
    [
        (text_model, TextModel, "text.json", "config", "hidden_size"),
        (text_model, TextModel, "text.json", "config", "num_hidden_layers"),
        (image_model, ImageModel, "image.json", "size", "side"),
        (video_model, VideoModel, "video.json", "size", "members"),
    ],
)
@pytest.mark.parametrize("number", [10**4 + 8, 10**9])
def test_sizes_that_were_never_trained_are_refused_before_they_take_memory(
    build, part, file, section, name, number
):
    files = dict(build().files())
    about = json.loads(files[file])
    about[section][name] = number
    files[file] = json.dumps(about).encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((ModelError, ValueError, KeyError)):
        part.read(files.__getitem__, Runtime())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_weights_that_are_not_numbers_are_refused():
    files = dict(text_model().files())
    tensors = safetensors.torch.load(files["text.safetensors"])
    first = sorted(tensors)[0]
    tensors[first] = torch.full_like(tensors[first], float("nan"))
    files["text.safetensors"] = safetensors.torch.save(tensors)
    with pytest.raises(ModelError, match="not a finite number"):
        TextModel.read(files.__getitem__, Runtime())


@pytest.mark.parametrize("file", ["text.safetensors", "text-ngrams.safetensors"])
def test_weights_that_are_cut_short_are_refused(file):
    files = dict(text_model().files())
    files[file] = files[file][:-10]
    with pytest.raises(ModelError, match="not a safetensors file"):
        TextModel.read(files.__getitem__, Runtime())
