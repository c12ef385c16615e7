"""Balanced contexts beside the posts that fusion learns from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.moderation.identity.contexts import balanced_texts
from lib.moderation.model.inputs import Marks
from lib.moderation.model.outputs import Floats, Ints, ModalityAnswer, Presence, joined
from lib.moderation.model.text import TextModel
from lib.moderation.post import MODALITIES

CONTEXT_FOLD = -1
"""Of rows that every network of fusion learns from, and neither gate nor calibration."""


@dataclass(frozen=True)
class FusionRows:
    """What fusion is fitted on, see `fit_fusion`.

    Attributes:
        answers: by modality, a row for each.
        presence: (n, modalities).
        targets: (n, policies).
        folds: (n,), `CONTEXT_FOLD` of contexts.
    """

    answers: Mapping[str, ModalityAnswer]
    presence: Marks
    targets: Floats
    folds: Ints


def with_contexts(rows: FusionRows, text: TextModel, texts: Sequence[str], seed: int) -> FusionRows:
    """Posts, then contexts whose templates the text model did not learn from.

    Without them a network that learns from posts alone finds in the embeddings again what the text
    model was kept from: which group a post names.

    Args:
        rows: of posts.
        text: the fitted model of texts.
        texts: of the posts, "" where there is none.
        seed: of what is drawn.
    """
    more = balanced_texts(
        texts, rows.targets, text.policies, text.size.balanced_contexts, seed, held_out=True
    )
    count = len(more.texts)
    if not count:
        return rows
    answers = {
        name: joined([answer, text.answer(more.texts) if name == "text" else _none(answer, count)])
        for name, answer in rows.answers.items()
    }
    marks = [Presence.PRESENT if name == "text" else Presence.ABSENT for name in MODALITIES]
    return FusionRows(
        answers,
        np.concatenate([rows.presence, np.tile(np.array(marks, dtype=np.int8), (count, 1))]),
        np.concatenate([rows.targets, more.targets]),
        np.concatenate([rows.folds, np.full(count, CONTEXT_FOLD, dtype=np.int64)]),
    )


def _none(answer: ModalityAnswer, count: int) -> ModalityAnswer:
    return ModalityAnswer(
        np.zeros((count, answer.embeddings.shape[1]), dtype=np.float32),
        np.zeros((count, answer.log_odds.shape[1])),
    )
