"""A new head on what a model already sees: other policies, without training the encoder again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from lib.moderation.model.image import ImageModel, ImageNet, vit_of
from lib.moderation.model.outputs import Floats, ModelError, Singles
from lib.moderation.model.serialization import config_of

_STRENGTH = 0.1


def fit_head(embeddings: Singles, targets: Floats) -> tuple[Singles, Singles]:
    """Weights (policies, width) and offsets (policies,) of ridge logistic regressions.

    Args:
        embeddings: (n, width).
        targets: (n, policies) within 0 and 1, a share counts as that much of a row; NaN unknown.
            Zeros come back for a policy whose outcomes are of one kind only.

    Raises:
        ModelError: lengths differ.
    """
    if len(embeddings) != len(targets):
        raise ModelError(f"head: expected {len(embeddings)} rows of targets, got {len(targets)}")
    mean = embeddings.mean(axis=0)
    spread = np.maximum(embeddings.std(axis=0), 1e-4)
    inputs = (embeddings - mean) / spread
    weights = np.zeros((targets.shape[1], embeddings.shape[1]), dtype=np.float32)
    offsets = np.zeros(targets.shape[1], dtype=np.float32)
    for p in range(targets.shape[1]):
        known_rows = np.flatnonzero(~np.isnan(targets[:, p]))
        shares = targets[known_rows, p]
        if not len(known_rows) or shares.max() <= 0.0 or shares.min() >= 1.0:
            continue
        rows = np.concatenate([known_rows[shares > 0], known_rows[shares < 1]])
        outcome = np.repeat([1, 0], [(shares > 0).sum(), (shares < 1).sum()])
        weight = np.concatenate([shares[shares > 0], 1.0 - shares[shares < 1]])
        model = LogisticRegression(C=_STRENGTH, max_iter=500)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs[rows], outcome, sample_weight=weight)
        weights[p] = model.coef_[0] / spread
        offsets[p] = model.intercept_[0] - weights[p] @ mean
    return weights, offsets


def with_head(
    model: ImageModel, policies: Sequence[str], embeddings: Singles, targets: Floats
) -> ImageModel:
    """The same encoders with a head for other policies; the model at hand stays as it was.

    Args:
        model: of images.
        policies: names of the new ones.
        embeddings: (n, width) of training images, as the model answers them.
        targets: (n, policies), see `fit_head`.
    """
    weights, offsets = fit_head(embeddings, targets)
    net = ImageNet(
        replace(model.size, pretrained=None), len(policies), vit_of(config_of(model.net.vit))
    )
    state = {k: v for k, v in model.net.state_dict().items() if not k.startswith("head.")}
    net.load_state_dict(state, strict=False)
    with torch.no_grad():
        head: nn.Linear = net.head
        head.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(offsets))
    net = net.to(model.runtime.device).eval()
    return ImageModel(tuple(policies), model.size, net, model.runtime)
