"""CIFAR's ten classes from 6,000 images, without weights from elsewhere."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.moderation.model.image import ImageModel
from lib.moderation.model.model_config import SMALL
from lib.moderation.model.training import Run, fit_image

_CELLS, _DIRECTIONS = 4, 8


@dataclass(frozen=True)
class Pictures:
    """Images (n, 32, 32, 3), their kinds, and rows to train and to test on."""

    pixels: NDArray[np.uint8]
    kinds: tuple[str, ...]
    train: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds."""
        return tuple(sorted(set(self.kinds)))

    def codes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Place of the kind of each row."""
        return np.array([self.names.index(self.kinds[row]) for row in rows.tolist()])


def read_pictures(data: Path, seed: int) -> Pictures:
    """All of them, two fifths held out."""
    table = pq.read_table(data / "cifar10/images.parquet").to_pydict()
    pixels = [np.array(Image.open(io.BytesIO(jpeg)).convert("RGB")) for jpeg in table["jpeg"]]
    kinds = tuple(table["label"])
    train, test = train_test_split(
        np.arange(len(kinds)), test_size=0.4, stratify=kinds, random_state=seed
    )
    return Pictures(np.stack(pixels), kinds, np.sort(train), np.sort(test))


def fit_pictures(pictures: Pictures, run: Run, epochs: int) -> ImageModel:
    """A model whose policies are the ten kinds."""
    size = replace(SMALL.image, learning=replace(SMALL.image.learning, epochs=epochs))
    targets = np.eye(len(pictures.names))[pictures.codes(pictures.train)]
    return fit_image(pictures.pixels[pictures.train], targets, pictures.names, size, run)


def judge_pictures(pictures: Pictures, model: ImageModel) -> dict[str, object]:
    """Accuracy of ours and of oriented gradients with logistic regression."""
    labels = pictures.codes(pictures.test)
    predictions = model.answer_squares(pictures.pixels[pictures.test]).log_odds.argmax(axis=1)
    gradients = oriented_gradients(pictures.pixels)
    baseline = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    baseline.fit(gradients[pictures.train], pictures.codes(pictures.train))
    return {
        "accuracy": float((predictions == labels).mean()),
        "gradients_accuracy": float((baseline.predict(gradients[pictures.test]) == labels).mean()),
        "train_rows": len(pictures.train),
        "test_rows": len(pictures.test),
    }


def oriented_gradients(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Histograms of gradient directions in cells, and mean colours (Dalal and Triggs 2005)."""
    grey = pixels.mean(axis=-1)
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, right)
    direction = ((np.arctan2(down, right) + np.pi) / (2 * np.pi) * _DIRECTIONS).astype(int)
    n, side = len(pixels), pixels.shape[1] // _CELLS

    def by_cell(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values.reshape(n, _CELLS, side, _CELLS, side).mean(axis=(2, 4)).reshape(n, -1)

    features = [by_cell(strength * (direction % _DIRECTIONS == k)) for k in range(_DIRECTIONS)]
    features += [by_cell(pixels[..., channel].astype(float)) for channel in range(3)]
    return np.sqrt(np.concatenate(features, axis=1))
