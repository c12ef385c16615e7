"""Which words of a text mattered: integrated gradients, summed from word pieces to words.

Sundararajan, Taly and Yan, Axiomatic attribution for deep networks (2017), along the path from a
text of padding to the text, through captum. What the linear model of n-grams adds is measured by
leaving each word out, and both are weighted as the model blends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.moderation.model.outputs import Floats, Ints, ModelError
from lib.moderation.model.text import TextModel
from lib.moderation.model.tokens import padding_of
from lib.moderation.text_matching.words import words

_STEPS = 16


@dataclass(frozen=True)
class Word:
    """A word of the original text and how much it adds to the log-odds of violating a policy.

    Attributes:
        begin, end: characters of the original text, [begin, end).
        word: that part of the text.
        share: what it adds in log-odds; negative speaks against a violation.
    """

    begin: int
    end: int
    word: str
    share: float


def explain_text(model: TextModel, text: str, policy: str, steps: int = _STEPS) -> list[Word]:
    """Every word of a text, in order, with what it adds for a policy.

    Words past the length that the model reads add only what n-grams tell of them.

    Args:
        model: of texts.
        text: to be explained.
        policy: one of the model's.
        steps: points on the path from nothing to the text.

    Raises:
        ModelError: the model has no such policy.
    """
    policy_index = place_of(model.policies, policy)
    spans = [(span.start, span.end) for span in words(text)]
    encoder = piece_shares(model, text, policy_index, steps)
    tokens = model.tokens([text])
    by_word = summed_to_words(spans, tokens.spans[0], encoder)
    if model.ngrams is not None:
        by_word = model.blend[policy_index, 0] * by_word
        by_word = by_word + model.blend[policy_index, 1] * _ngram_shares(
            model, text, spans, policy_index
        )
    return [
        Word(begin, end, text[begin:end], float(share))
        for (begin, end), share in zip(spans, by_word, strict=True)
    ]


def piece_shares(model: TextModel, text: str, policy_index: int, steps: int = _STEPS) -> Floats:
    """What each word piece adds to the encoder's log-odds of a policy (pieces,).

    They add up to the difference between the text and one of padding, up to the steps' error.
    """
    from captum.attr import LayerIntegratedGradients  # noqa: PLC0415

    device = model.runtime.device
    ids = torch.from_numpy(model.tokens([text]).ids[0][None]).to(device)
    filler = padding_of(model.tokenizer)
    baseline = torch.where(_marks(model, ids), ids, torch.full_like(ids, filler))
    mask = torch.ones_like(ids)
    net = model.net.eval()
    encoder: Any = net.encoder

    def forward(pieces: Tensor) -> Tensor:
        odds: Tensor = net(pieces, mask.expand(len(pieces), -1))[:, policy_index]
        return odds

    gradients = LayerIntegratedGradients(forward, encoder.get_input_embeddings())
    attributions = gradients.attribute(
        ids, baselines=baseline, n_steps=steps, internal_batch_size=steps
    )
    return np.asarray(attributions.sum(dim=-1)[0].detach().double().cpu().numpy())


def summed_to_words(spans: Sequence[tuple[int, int]], pieces: Ints, shares: Floats) -> Floats:
    """Shares (words,) of pieces (pieces, 2), one over several words parted by characters.

    Args:
        spans: of words, in order, not overlapping.
        pieces: begin and end of each piece; empty ones are marks and belong to no word.
        shares: (pieces,).
    """
    word_shares = np.zeros(len(spans))
    if not spans:
        return word_shares
    begins, ends = np.array(spans).T
    for (begin, end), share in zip(pieces.tolist(), shares.tolist(), strict=True):
        common = np.maximum(np.minimum(ends, end) - np.maximum(begins, begin), 0)
        if common.any():
            word_shares += share * common / common.sum()
    return word_shares


def place_of(policies: Sequence[str], policy: str) -> int:
    """Column of a policy.

    Raises:
        ModelError: there is none of that name.
    """
    if policy not in policies:
        raise ModelError(f"policy: expected one of {', '.join(policies)}, got {policy!r}")
    return list(policies).index(policy)


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with these parts blanked."""
    kept = list(text)
    for begin, end in spans:
        kept[begin:end] = " " * (end - begin)
    return "".join(kept)


def _ngram_shares(
    model: TextModel, text: str, spans: Sequence[tuple[int, int]], policy_index: int
) -> Floats:
    if model.ngrams is None or not spans:
        return np.zeros(len(spans))
    odds = model.ngrams.log_odds([text, *(without(text, [span]) for span in spans)])[
        :, policy_index
    ]
    return np.asarray(odds[0] - odds[1:])


def _marks(model: TextModel, ids: Tensor) -> Tensor:
    """Which pieces are marks of begin and end, that the text of padding keeps."""
    marks = [model.tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]", "<s>", "</s>")]
    mark_ids = torch.tensor([mark for mark in marks if mark is not None], device=ids.device)
    return torch.isin(ids, mark_ids)
