"""A second model, to be told from the tiny one in all its parts."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch

from lib.moderation.model.model import ModerationModel
from tests.moderation import small_model


def other_model() -> ModerationModel:
    """A model whose texts and whose fusion both answer otherwise than the first one's."""
    first = small_model.model()
    assert first.text is not None
    net = copy.deepcopy(first.fusion.net)
    with torch.no_grad():
        net.offsets.bias += 0.75
    blend = first.text.blend + np.array([0.0, 0.0, 1.5])
    return replace(
        first, fusion=replace(first.fusion, net=net), text=replace(first.text, blend=blend)
    )
