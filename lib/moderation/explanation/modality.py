"""Which modality of a post mattered: each is left out in turn."""

from collections.abc import Mapping

import numpy as np

from lib.moderation.model.fusion import Fusion
from lib.moderation.model.inputs import Marks
from lib.moderation.model.outputs import Floats, ModalityAnswer, Presence
from lib.moderation.post import MODALITIES


def explain_modalities(
    fusion: Fusion,
    answers: Mapping[str, ModalityAnswer],
    presence: Marks,
    features: Floats | None = None,
) -> dict[str, Floats]:
    """By modality (n, policies): what it adds to the calibrated log-odds beside the others.

    The answer less the one with that modality absent. 0 for posts without it; for a post's only
    modality, against a post of which nothing is known. Shares of several need not add up: what two
    say only together is lost with either.

    Args:
        fusion: puts modalities together.
        answers: by modality, a row for each post.
        presence: (n, modalities).
        features: (n, attributes), where the model reads attributes.
    """
    log_odds = fusion.answer(answers, presence, features)
    contributions = {}
    for column, name in enumerate(MODALITIES):
        is_present = presence[:, column] == Presence.PRESENT
        without = presence.copy()
        without[is_present, column] = Presence.ABSENT
        rest = fusion.answer(answers, without, features)
        contributions[name] = np.where(is_present[:, None], log_odds - rest, 0.0)
    return contributions
