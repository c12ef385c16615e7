"""The linear model of texts: TF-IDF of words and characters, logistic regression per policy.

Short texts with telling words are what such a model is good at, and its errors are others than
those of an encoder: Davidson et al., Automated hate speech detection (ICWSM 2017).
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lib.moderation.model.outputs import Floats, ModelError
from lib.moderation.model.serialization import Files, Reader, arrays_bytes, json_bytes, read_arrays

_ABOUT, _ARRAYS = "text-ngrams.json", "text-ngrams.safetensors"
_LONGEST = 16
_ADDRESS, _MENTION = re.compile(r"https?://\S+"), re.compile(r"@\w+")
# a C of scikit-learn; larger ones fit rare n-grams to noise
_STRENGTH = 4.0


def plain(text: str) -> str:
    """What n-grams are taken of: entities resolved, NFKC, lower case, no addresses, no names."""
    clean_text = unicodedata.normalize("NFKC", html.unescape(text)).lower()
    return _MENTION.sub("@user", _ADDRESS.sub(" url ", clean_text))


@dataclass(frozen=True)
class NgramModel:
    """Logistic regression over two vocabularies.

    Attributes:
        words, characters: vectorisers with vocabularies of training texts only.
        weights: (n-grams of words, then of characters; policies).
        intercepts: (policies,).
    """

    words: TfidfVectorizer
    characters: TfidfVectorizer
    weights: Floats
    intercepts: Floats

    def log_odds(self, texts: Sequence[str]) -> Floats:
        """Log-odds (n, policies); exactly 0 where nothing was learnt."""
        if not len(texts):
            return np.zeros((0, len(self.intercepts)))
        return np.asarray(self.inputs(texts) @ self.weights + self.intercepts)

    def inputs(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF (n, n-grams)."""
        plain_texts = [plain(text) for text in texts]
        halves = [self.words.transform(plain_texts), self.characters.transform(plain_texts)]
        return sparse.hstack(halves).tocsr()

    def files(self) -> Files:
        """JSON and safetensors."""
        halves = {"words": self.words, "characters": self.characters}
        about: dict[str, Any] = {
            name: _vocabulary(vectoriser) for name, vectoriser in halves.items()
        }
        about |= {
            "lengths": {name: list(vectoriser.ngram_range) for name, vectoriser in halves.items()}
        }
        arrays = {
            "words": self.words.idf_,
            "characters": self.characters.idf_,
            "weights": self.weights.astype(np.float32),
            "intercepts": self.intercepts,
        }
        return {_ABOUT: json_bytes(about), _ARRAYS: arrays_bytes(arrays)}

    @classmethod
    def read(cls, reader: Reader) -> NgramModel:
        """As `files` stored it."""
        about, arrays = json.loads(reader(_ABOUT)), read_arrays(reader(_ARRAYS))
        halves = []
        for name in ("words", "characters"):
            longest = int(about["lengths"][name][1])
            if not 1 <= longest <= _LONGEST:
                raise ModelError(
                    f"{_ABOUT}: {name}: expected n-grams of 1 to {_LONGEST}, got {longest}"
                )
            vectoriser = _vectoriser(name, longest, vocabulary=about[name])
            vectoriser.idf_ = arrays[name]
            halves.append(vectoriser)
        words, characters = halves
        return cls(words, characters, arrays["weights"].astype(np.float64), arrays["intercepts"])


def fit_ngrams(
    texts: Sequence[str], targets: Floats, longest_words: int, longest_characters: int
) -> NgramModel:
    """Vocabulary and weights of training texts.

    Args:
        texts: (n,) of them.
        targets: (n, policies) within 0 and 1, NaN unknown; a share counts as that much of a row.
        longest_words: in words.
        longest_characters: in characters.
    """
    plain_texts = [plain(text) for text in texts]
    words = _vectoriser("words", longest_words, min_df=2 if len(plain_texts) > 200 else 1)
    characters = _vectoriser(
        "characters", longest_characters, min_df=3 if len(plain_texts) > 200 else 1
    )
    inputs = sparse.hstack(
        [words.fit_transform(plain_texts), characters.fit_transform(plain_texts)]
    ).tocsr()
    fitted = [_one_policy(inputs, targets[:, p]) for p in range(targets.shape[1])]
    weights = np.stack([vector for vector, _ in fitted], axis=1).astype(np.float32)
    intercepts = np.array([intercept for _, intercept in fitted])
    return NgramModel(words, characters, weights.astype(np.float64), intercepts)


def _one_policy(inputs: sparse.csr_matrix, targets: Floats) -> tuple[Floats, float]:
    """Weights and intercept; zeros where not both outcomes are known."""
    known_rows = np.flatnonzero(~np.isnan(targets))
    shares = targets[known_rows]
    if not len(known_rows) or shares.max() <= 0.0 or shares.min() >= 1.0:
        return np.zeros(inputs.shape[1]), 0.0
    rows = np.concatenate([known_rows[shares > 0], known_rows[shares < 1]])
    outcome = np.concatenate([np.ones((shares > 0).sum()), np.zeros((shares < 1).sum())])
    weight = np.concatenate([shares[shares > 0], 1.0 - shares[shares < 1]])
    model = LogisticRegression(C=_STRENGTH, solver="liblinear", max_iter=200, random_state=0)
    model.fit(inputs[rows], outcome, sample_weight=weight)
    return np.asarray(model.coef_[0]), float(model.intercept_[0])


def _vectoriser(kind: str, longest: int, **more: Any) -> TfidfVectorizer:
    if kind == "words":
        pattern = r"(?u)\b\w+\b|[^\w\s]"
        return TfidfVectorizer(
            ngram_range=(1, max(1, longest)), sublinear_tf=True, token_pattern=pattern,
            lowercase=False, **more,
        )  # fmt: skip
    return TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, max(2, longest)), sublinear_tf=True, lowercase=False,
        **more,
    )  # fmt: skip


def _vocabulary(vectoriser: TfidfVectorizer) -> list[str]:
    """N-grams in the order of their columns."""
    return [str(ngram) for ngram in vectoriser.get_feature_names_out()]
