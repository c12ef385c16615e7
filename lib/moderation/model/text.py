"""What a text says: an encoder of the BERT family, blended with a linear model of n-grams."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from lib.moderation.model.blending import blended
from lib.moderation.model.embedding_net import EmbeddingNet
from lib.moderation.model.fitting import Embedder, Runtime
from lib.moderation.model.model_config import TextSize, stored_size
from lib.moderation.model.ngrams import NgramModel
from lib.moderation.model.outputs import Floats, ModalityAnswer, Singles
from lib.moderation.model.serialization import (
    Files,
    Reader,
    check_sizes,
    config_of,
    json_bytes,
    module_bytes,
    read_module,
)
from lib.moderation.model.tokens import Tokens, padding_of, read_tokenizer, tokenise
from lib.moderation.model.torchvision_ops import transformers

_ABOUT, _WEIGHTS, _TOKENIZER = "text.json", "text.safetensors", "tokenizer.json"
_BATCH = 64


class TextNet(EmbeddingNet):
    """Mean of the last layer over word pieces, then a linear head that starts at zero.

    Mean pooling is that of sentence encoders: Reimers and Gurevych, Sentence-BERT (2019).
    """

    def __init__(self, encoder: nn.Module, width: int, policies: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.add_head(width, policies, 0.1)

    def embed(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embeddings (n, width) of word pieces (n, longest) and their mask."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask[..., None].to(states.dtype)
        total: Tensor = (states * weights).sum(1) / weights.sum(1).clamp(min=1.0)
        return total


@dataclass(frozen=True)
class TextModel(Embedder):
    """A fitted model of texts.

    Attributes:
        policies: names, in the order of log-odds.
        size: what it was built from.
        tokenizer: folds and cuts texts.
        net: the encoder.
        ngrams: the linear model, or None.
        blend: (policies, 3): weights of encoder and n-grams, offset.
        runtime: where answers are computed.
    """

    policies: tuple[str, ...]
    size: TextSize
    tokenizer: Tokenizer
    net: TextNet
    ngrams: NgramModel | None
    blend: Floats
    runtime: Runtime

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """The word pieces that the encoder sees."""
        return tokenise(self.tokenizer, texts)

    def answer(self, texts: Sequence[str]) -> ModalityAnswer:
        """Embeddings and log-odds of texts, the same for one and for many up to rounding."""
        embeddings, encoded = self.encoded(self.tokens(texts))
        return ModalityAnswer(embeddings, self.mixed(encoded, texts))

    def encoded(self, tokens: Tokens) -> tuple[Singles, Floats]:
        """Embeddings and the encoder's own log-odds of word pieces."""
        count = len(tokens.ids)
        embeddings = np.zeros((count, self.width), dtype=np.float32)
        log_odds = np.zeros((count, len(self.policies)))
        filler = padding_of(self.tokenizer)
        self.net.eval()
        with torch.inference_mode(), self.runtime.precision():
            order = np.argsort(tokens.lengths, kind="stable")
            for start in range(0, count, _BATCH):
                rows = order[start : start + _BATCH]
                ids, mask = (
                    torch.from_numpy(array).to(self.runtime.device)
                    for array in tokens.padded(rows, filler)
                )
                states = self.net.embed(ids, mask)
                embeddings[rows] = states.float().cpu().numpy()
                log_odds[rows] = self.net.head(states).double().cpu().numpy()
        return embeddings, log_odds

    def mixed(self, encoded: Floats, texts: Sequence[str]) -> Floats:
        """The encoder's log-odds blended with those of n-grams."""
        if self.ngrams is None:
            return encoded
        return blended(np.stack([encoded, self.ngrams.log_odds(texts)]), self.blend)

    def files(self) -> Files:
        """All that `read` needs."""
        about = {
            "policies": list(self.policies),
            "size": asdict(self.size),
            "config": config_of(self.net.encoder),
            "blend": self.blend.tolist(),
            "ngrams": self.ngrams is not None,
        }
        files = {
            _ABOUT: json_bytes(about),
            _WEIGHTS: module_bytes(self.net),
            _TOKENIZER: self.tokenizer.to_str().encode(),
        }
        return files | (self.ngrams.files() if self.ngrams is not None else {})

    @classmethod
    def read(cls, reader: Reader, runtime: Runtime) -> TextModel:
        """As `files` stored it."""
        about = json.loads(reader(_ABOUT))
        check_sizes([about["size"], about["config"]], _ABOUT)
        policies = tuple(str(policy) for policy in about["policies"])
        width = int(about["config"]["hidden_size"])
        net = read_module(
            lambda: TextNet(encoder_of(about["config"]), width, len(policies)),
            reader(_WEIGHTS),
            _WEIGHTS,
        )
        return cls(
            policies=policies,
            size=stored_size(TextSize, about["size"]),
            tokenizer=read_tokenizer(reader(_TOKENIZER), _TOKENIZER),
            net=net.to(runtime.device).eval(),
            ngrams=NgramModel.read(reader) if about["ngrams"] else None,
            blend=np.array(about["blend"], dtype=np.float64),
            runtime=runtime,
        )


def encoder_of(config: dict[str, Any], attention: str = "sdpa") -> nn.Module:
    """A fresh encoder of a stored configuration, without the pooler that nothing here uses."""
    module = transformers()
    kind = str(config["model_type"])
    model_config = module.AutoConfig.for_model(**{**config, "model_type": kind})
    return _without_pooler(
        module.AutoModel.from_config(model_config, attn_implementation=attention)
    )


def fresh_encoder(size: TextSize, pieces: int, filler: int) -> nn.Module:
    """A BERT of fresh weights for a vocabulary of so many pieces."""
    return encoder_of(
        {
            "model_type": "bert",
            "vocab_size": pieces,
            "hidden_size": size.hidden,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "intermediate_size": 4 * size.hidden,
            "max_position_embeddings": size.length,
            "pad_token_id": filler,
        }
    )


def pretrained_encoder(source: str) -> nn.Module:
    """An encoder from a directory or by its name, safetensors only."""
    module = transformers()
    hf_logging = module.utils.logging
    is_enabled = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        encoder = module.AutoModel.from_pretrained(source, use_safetensors=True)
    finally:
        if is_enabled:
            hf_logging.enable_progress_bar()
    return _without_pooler(encoder)


def _without_pooler(encoder: Any) -> nn.Module:
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    module: nn.Module = encoder
    return module
