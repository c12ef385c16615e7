"""Davidson's tweets: hate, offensive or neither, on a stratified fifth that is held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from lib.calibration import sigmoid
from lib.evaluation import bootstrap_interval
from lib.moderation.model.model_config import SMALL
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import Run, fit_text
from lib.moderation.synthetic.composing import COMPOSED_POLICIES

HATE, OFFENSIVE, NEITHER = 0, 1, 2
_FACTORS = np.round(np.arange(0.6, 3.01, 0.1), 2)
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Tweets:
    """Texts, shares of annotators (n, 2) who said hate and offensive, and the class of most."""

    texts: list[str]
    shares: NDArray[np.float64]
    classes: Rows
    train: Rows
    held_out: Rows
    test: Rows


def read_tweets(data: Path, seed: int) -> Tweets:
    """All tweets, four fifths to train on; a tenth of those chooses blend and factor."""
    table = pq.read_table(data / "davidson/labeled_data.parquet").to_pydict()
    classes = np.array(table["class"])
    votes = np.stack([table["hate_speech"], table["offensive_language"]], axis=1)
    rest, test = train_test_split(
        np.arange(len(classes)), test_size=0.2, stratify=classes, random_state=seed
    )
    train, held_out = train_test_split(
        rest, test_size=0.1, stratify=classes[rest], random_state=seed
    )
    shares = votes / np.array(table["count"])[:, None]
    return Tweets(table["tweet"], shares, classes, train, held_out, test)


def fit_tweets(tweets: Tweets, run: Run, epochs: int) -> TextModel:
    """The text model of all policies; the ones that tweets say nothing of stay unknown."""
    rows = np.concatenate([tweets.train, tweets.held_out])
    targets = np.full((len(rows), len(COMPOSED_POLICIES)), np.nan)
    targets[:, :2] = tweets.shares[rows]
    held_out = np.arange(len(tweets.train), len(rows))
    size = replace(SMALL.text, learning=replace(SMALL.text.learning, epochs=epochs))
    return fit_text(
        [tweets.texts[k] for k in rows], targets, COMPOSED_POLICIES, held_out, size, run
    )


def judge_tweets(tweets: Tweets, model: TextModel) -> dict[str, object]:
    """F1 of ours and of its parts, and of the baseline, all on the test fifth.

    How much hate counts is chosen on held-out tweets, once for the best weighted F1 and once for
    the best mean over classes, which finds more hate.
    """
    results: dict[str, object] = {"test_rows": len(tweets.test), "baseline": _baseline(tweets)}
    held_out, test = (model_members(model, tweets, rows) for rows in (tweets.held_out, tweets.test))
    for name in ("encoder", "ngrams", "ours"):
        figures = _at_factor(tweets, held_out[name], test[name], "weighted_f1")
        results |= figures if name == "ours" else {name: figures}
    results["ours_for_macro_f1"] = _at_factor(tweets, held_out["ours"], test["ours"], "macro_f1")
    return results


def model_members(model: TextModel, tweets: Tweets, rows: Rows) -> dict[str, NDArray[np.float64]]:
    """Log-odds (n, 2) of hate and offensive by the encoder, the n-grams and both."""
    texts = [tweets.texts[k] for k in rows]
    _, encoded = model.encoded(model.tokens(texts))
    assert model.ngrams is not None
    members = {
        "encoder": encoded,
        "ngrams": model.ngrams.log_odds(texts),
        "ours": model.mixed(encoded, texts),
    }
    return {name: odds[:, :2] for name, odds in members.items()}


def decided(odds: NDArray[np.float64], factor: float) -> Rows:
    """Classes (n,) by the largest share; that of hate, the rarest, counts `factor` times."""
    probabilities = sigmoid(odds)
    neither = 1.0 - probabilities.sum(axis=1)
    return np.argmax(
        np.stack([factor * probabilities[:, 0], probabilities[:, 1], neither], axis=1), axis=1
    )


def _at_factor(
    tweets: Tweets, held_out: NDArray[np.float64], test: NDArray[np.float64], measure: str
) -> dict[str, float]:
    """Figures on the test with the factor of hate that is best by a measure on held-out tweets."""
    labels = tweets.classes[tweets.held_out]
    factor = float(
        max(_FACTORS, key=lambda weight: three_class_f1(decided(held_out, weight), labels)[measure])
    )
    return {
        **three_class_f1(decided(test, factor), tweets.classes[tweets.test]),
        **_interval(decided(test, factor), tweets.classes[tweets.test]),
        "hate_factor": factor,
        "validation_weighted_f1": three_class_f1(decided(held_out, factor), labels)["weighted_f1"],
    }


def _interval(decisions: Rows, classes: Rows) -> dict[str, float]:
    """95% interval of the weighted F1 over tweets, of which the data tell no authors."""

    def weighted(draw: Rows) -> float:
        return float(f1_score(classes[draw], decisions[draw], average="weighted"))

    interval = bootstrap_interval(weighted, np.arange(len(classes)), seed=1)
    return {"weighted_f1_low": interval.low, "weighted_f1_high": interval.high}


def three_class_f1(decisions: Rows, classes: Rows) -> dict[str, float]:
    """F1 by class, weighted by classes and plain."""
    each = f1_score(classes, decisions, average=None, labels=[HATE, OFFENSIVE, NEITHER])
    return {
        "weighted_f1": float(f1_score(classes, decisions, average="weighted")),
        "macro_f1": float(each.mean()),
        "hate_f1": float(each[0]),
        "offensive_f1": float(each[1]),
        "neither_f1": float(each[2]),
    }


def _baseline(tweets: Tweets) -> dict[str, float]:
    """TF-IDF of words with logistic regression, as scikit-learn sets them; with class weights."""
    rows = np.concatenate([tweets.train, tweets.held_out])
    texts = np.array(tweets.texts, dtype=object)
    vectoriser = TfidfVectorizer()
    inputs = vectoriser.fit_transform(texts[rows])
    test = vectoriser.transform(texts[tweets.test])
    measures = {}
    for name, weight in (("", None), ("balanced_", "balanced")):
        model = LogisticRegression(max_iter=1000, class_weight=weight)
        decisions = model.fit(inputs, tweets.classes[rows]).predict(test)
        measures |= {
            name + key: value
            for key, value in three_class_f1(decisions, tweets.classes[tweets.test]).items()
        }
    return measures
