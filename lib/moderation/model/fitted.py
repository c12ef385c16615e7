"""A fitted model with the posts that it is tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lib.moderation.model.inputs import Marks
from lib.moderation.model.model import ModerationModel
from lib.moderation.model.outputs import Floats, ModalityAnswer
from lib.moderation.policies import Policies


@dataclass(frozen=True)
class FittedModel:
    """A model, what its modality models answer about the test posts, and what is known of these.

    Attributes:
        model: calibrated.
        policies: those of the model, in its order.
        answers: by modality, a row for each test post.
        presence: (n, modalities), as the model sees them.
        targets: (n, policies) shares of people who say that a post violates; NaN unknown.
        texts, authors, languages: of each post.
        reach: (n,) views.
    """

    model: ModerationModel
    policies: Policies
    answers: Mapping[str, ModalityAnswer]
    presence: Marks
    targets: Floats
    texts: Sequence[str]
    authors: NDArray[Any]
    languages: Sequence[str | None]
    reach: Floats

    @property
    def log_odds(self) -> Floats:
        """Calibrated log-odds (n, policies)."""
        return self.model.fusion.answer(self.answers, self.presence)
