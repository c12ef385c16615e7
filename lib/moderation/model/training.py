"""Fits the model of each modality; rows that choose the blend are never learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from lib.moderation.identity.contexts import balanced_texts
from lib.moderation.model.blending import fit_blend
from lib.moderation.model.fitting import (
    AlikeRows,
    Checkpoint,
    OnEpoch,
    Runtime,
    decayed,
    fit,
    masked_loss,
)
from lib.moderation.model.image import ImageModel, ImageNet, fresh_image_net
from lib.moderation.model.model_config import ImageSize, TextSize, TrainingConfig, VideoSize
from lib.moderation.model.motion import fit_motion, statistics_of
from lib.moderation.model.ngrams import fit_ngrams
from lib.moderation.model.outputs import Floats, Ints, ModelError, Pixels
from lib.moderation.model.pixels import normalised
from lib.moderation.model.text import TextModel, TextNet, fresh_encoder, pretrained_encoder
from lib.moderation.model.tokens import (
    Tokens,
    encoder_directory,
    learnt,
    padding_of,
    pretrained_tokenizer,
    tokenise,
)
from lib.moderation.model.video import VideoModel, VideoNet, fresh_video_net, video_inputs

_EVENLY = (0.5, 0.5, 0.0)


@dataclass(frozen=True)
class Run:
    """How a training is carried out.

    Attributes:
        seed: of everything that is drawn.
        runtime: where.
        on_epoch: called with a checkpoint after each epoch.
        resume: go on after this checkpoint.
    """

    seed: int
    runtime: Runtime
    on_epoch: OnEpoch | None = None
    resume: Checkpoint | None = None

    def member(self, number: int) -> Self:
        """The run of a member: its seed counts up, and only its own checkpoint concerns it."""
        seed = self.seed + number
        is_own = self.resume is not None and self.resume.seed == seed
        return replace(self, seed=seed, resume=self.resume if is_own else None)

    def fit(self, task: Any, learning: TrainingConfig) -> float:
        """See `fitting.fit`."""
        return fit(task, learning, self.seed, self.runtime, self.on_epoch, self.resume)


@dataclass
class TextTask:
    """Texts to be learnt by an encoder.

    Attributes:
        module: the encoder.
        tokens: of the texts (n,), then of their partners.
        targets: (n, policies).
        partners: (n,) place among `tokens` of the same text with another identity term, or -1.
        filler: id of the piece that fills a batch.
        size, device: of the encoder.
    """

    module: TextNet
    tokens: Tokens
    targets: Tensor
    partners: Ints
    filler: int
    size: TextSize
    device: str

    @property
    def lengths(self) -> Ints:
        """Word pieces of each text."""
        return self.tokens.lengths[: len(self.targets)]

    def groups(self, learning: TrainingConfig) -> list[dict[str, Any]]:
        """Pretrained weights take smaller steps than the head."""
        is_pretrained = self.size.encoder is not None
        rate = learning.pretrained_rate if is_pretrained else learning.rate
        return [
            *decayed(list(self.module.encoder.named_parameters()), rate),
            *decayed(list(self.module.head.named_parameters()), learning.rate),
        ]

    def loss(self, rows: Ints, rng: np.random.Generator) -> Tensor:
        """Mean loss, and what other identity terms change; texts are not augmented."""
        del rng
        own, pairing = len(rows), self.size.pairing
        paired = np.flatnonzero(self.partners[rows] >= 0) if pairing else rows[:0]
        ids, mask = self.tokens.padded(
            np.concatenate([rows, self.partners[rows[paired]]]), self.filler
        )
        logits = self.module(
            torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
        )
        targets = self.targets[rows]
        loss = masked_loss(
            logits[:own], targets, self.size.learning.smoothing, self.size.positive_weight
        )
        if not len(paired):
            return loss
        is_known = ~torch.isnan(targets[paired])
        differences = (logits[paired] - logits[own:]).abs() * is_known
        total: Tensor = loss + pairing * differences.sum() / is_known.sum().clamp(min=1)
        return total


def fit_text(
    texts: Sequence[str],
    targets: Floats,
    policies: Sequence[str],
    held_out: Ints,
    size: TextSize,
    run: Run,
    tokens: Tokens | None = None,
) -> TextModel:
    """A model of texts.

    Args:
        texts: (n,) of them.
        targets: (n, policies) within 0 and 1, such as shares of annotators; NaN unknown.
        policies: names.
        held_out: rows that choose the blend and are not learnt from; none blends evenly.
        size: of the encoder.
        run: seed and place.
        tokens: word pieces of the texts by the size's pretrained encoder, where they were computed
            before; None computes them.

    Raises:
        ModelError: lengths differ, or nothing is left to learn from.
    """
    learn = _learning_rows(len(texts), targets, policies, held_out)
    own = [texts[row] for row in learn.tolist()]
    more = balanced_texts(own, targets[learn], policies, size.balanced_contexts, run.seed)
    own, own_targets = own + more.texts, np.concatenate([targets[learn], more.targets])
    torch.manual_seed(run.seed)
    if size.encoder is None:
        tokenizer = learnt(own, size.vocabulary, size.length)
        encoder = fresh_encoder(size, tokenizer.get_vocab_size(), padding_of(tokenizer))
    else:
        source = encoder_directory(size.encoder)
        tokenizer = pretrained_tokenizer(source, size.length)
        encoder = pretrained_encoder(source)
        _freeze(encoder, size.frozen_layers)
    device = run.runtime.device
    config: Any = encoder.config
    net = TextNet(encoder, int(config.hidden_size), len(policies)).to(device)
    _start_head(net.head, targets[learn])
    own_tokens = tokenise(tokenizer, own[: len(learn)]) if tokens is None else tokens.take(learn)
    partners = partner_places(len(learn), more.partners)
    own_tokens = own_tokens.followed_by(
        tokenise(tokenizer, [*more.texts, *(text for text in more.partners if text)])
    )
    task = TextTask(
        net, own_tokens, _tensor(own_targets, device), partners, padding_of(tokenizer),
        size, device,
    )  # fmt: skip
    run.fit(task, size.learning)
    ngrams = None
    if size.word_ngrams:
        ngrams = fit_ngrams(own, own_targets, size.word_ngrams, size.character_ngrams)
    even = np.tile(_EVENLY, (len(policies), 1))
    model = TextModel(tuple(policies), size, tokenizer, net, ngrams, even, run.runtime)
    other = [texts[row] for row in held_out.tolist()]
    return _with_blend(model, other, targets[held_out], run.seed)


def partner_places(posts: int, partners: Sequence[str]) -> Ints:
    """(n,) of posts, then contexts: where the partner lies behind all of them, or -1.

    Args:
        posts: how many come first; they have no partners.
        partners: of the contexts, "" where there is none.
    """
    has_partner = np.array([bool(text) for text in partners], dtype=np.bool_)
    places = np.where(has_partner, posts + len(partners) - 1 + np.cumsum(has_partner), -1)
    return np.concatenate([np.full(posts, -1, dtype=np.int64), places.astype(np.int64)])


def _with_blend(model: TextModel, texts: Sequence[str], targets: Floats, seed: int) -> TextModel:
    """The model with a blend that texts and contexts choose which it did not learn from."""
    if model.ngrams is None or not len(texts):
        return model
    more = balanced_texts(
        texts, targets, model.policies, model.size.balanced_contexts, seed, held_out=True
    )
    both = [*texts, *more.texts]
    _, encoded = model.encoded(model.tokens(both))
    members = np.stack([encoded, model.ngrams.log_odds(both)])
    return replace(model, blend=fit_blend(members, np.concatenate([targets, more.targets])))


@dataclass
class ImageTask(AlikeRows):
    """Images to be learnt, mirrored and shifted at random."""

    module: ImageNet
    pixels: Pixels
    targets: Tensor
    size: ImageSize
    device: str

    def groups(self, learning: TrainingConfig) -> list[dict[str, Any]]:
        """Pretrained weights take smaller steps than fresh ones."""
        of_resnet = list(self.module.resnet.named_parameters())
        of_vit = list(self.module.vit.named_parameters())
        rest = [*self.module.norm.named_parameters(), *self.module.head.named_parameters()]
        slow = learning.pretrained_rate
        return [
            *decayed(of_resnet, slow if self.size.pretrained else learning.rate),
            *decayed(of_vit, slow if self.size.vit else learning.rate / 2),
            *decayed(rest, learning.rate),
        ]

    def loss(self, rows: Ints, rng: np.random.Generator) -> Tensor:
        """Mean loss of augmented images."""
        shift = max(1, self.size.side // 8)
        pixels = shifted(self.pixels[rows], shift, rng)
        logits = self.module(normalised(pixels, self.device))
        return masked_loss(logits, self.targets[rows], self.size.learning.smoothing)


def fit_image(
    pixels: Pixels, targets: Floats, policies: Sequence[str], size: ImageSize, run: Run
) -> ImageModel:
    """A model of images (n, S, S, 3) as `squares` prepares them; see `fit_text`."""
    _learning_rows(len(pixels), targets, policies, np.zeros(0, dtype=np.int64))
    torch.manual_seed(run.seed)
    device = run.runtime.device
    net = fresh_image_net(size, len(policies)).to(device)
    _start_head(net.head, targets)
    run.fit(ImageTask(net, pixels, _tensor(targets, device), size, device), size.learning)
    return ImageModel(tuple(policies), size, net, run.runtime)


@dataclass
class VideoTask(AlikeRows):
    """Clips to be learnt: mirrored, shifted, cut in time and played backwards at random."""

    module: VideoNet
    clips: Pixels
    places: Ints
    """of the clips to be learnt, which are read a batch at a time: they may lie in a file"""
    targets: Tensor
    size: VideoSize
    device: str

    def groups(self, learning: TrainingConfig) -> list[dict[str, Any]]:
        """Pretrained weights take smaller steps than the head."""
        rate = learning.pretrained_rate if self.size.pretrained else learning.rate
        return [
            *decayed(list(self.module.stages.named_parameters()), rate),
            *decayed(list(self.module.head.named_parameters()), learning.rate),
        ]

    def loss(self, rows: Ints, rng: np.random.Generator) -> Tensor:
        """Mean loss of augmented clips."""
        clips = self.clips[self.places[rows]]
        count, frames, side = clips.shape[:3]
        flat = clips.transpose(0, 2, 3, 1, 4).reshape(count, side, side, frames * 3)
        moved = shifted(flat, max(1, side // 6), rng)
        clips = moved.reshape(count, side, side, frames, 3).transpose(0, 3, 1, 2, 4)
        logits = self.module(video_inputs(jittered(clips, rng), self.size, self.device))
        return masked_loss(logits, self.targets[rows], self.size.learning.smoothing)


def fit_video(
    clips: Pixels,
    targets: Floats,
    policies: Sequence[str],
    held_out: Ints,
    size: VideoSize,
    run: Run,
) -> VideoModel:
    """A model of clips (n, T, S, S, 3) as `VideoModel.frames` prepares them; see `fit_text`."""
    learn = _learning_rows(len(clips), targets, policies, held_out)
    device = run.runtime.device
    nets = []
    for member in range(size.members):
        torch.manual_seed(run.seed + member)
        net = fresh_video_net(size, len(policies)).to(device)
        _start_head(net.head, targets[learn])
        task = VideoTask(net, clips, learn, _tensor(targets[learn], device), size, device)
        run.member(member).fit(task, size.learning)
        nets.append(net)
    own = [clips[row] for row in learn.tolist()]
    motion = fit_motion(statistics_of(own), targets[learn]) if size.motion else None
    even = np.tile(_EVENLY, (len(policies), 1))
    model = VideoModel(tuple(policies), size, tuple(nets), motion, even, run.runtime)
    if motion is None or not len(held_out):
        return model
    other = [clips[row] for row in held_out.tolist()]
    _, log_odds = model.network_answer(other)
    members = np.stack([log_odds, motion.log_odds(other)])
    return replace(model, blend=fit_blend(members, targets[held_out]))


def shifted(pixels: Pixels, most: int, rng: np.random.Generator) -> Pixels:
    """Images (n, S, S, channels), each mirrored or not and moved by up to `most` pixels."""
    side = pixels.shape[1]
    wide = np.pad(pixels, ((0, 0), (most, most), (most, most), (0, 0)), mode="reflect")
    down, right = rng.integers(0, 2 * most + 1, (2, len(pixels)))
    mirrored = rng.random(len(pixels)) < 0.5
    output = np.empty_like(pixels)
    for k in range(len(pixels)):
        crop = wide[k, down[k] : down[k] + side, right[k] : right[k] + side]
        output[k] = crop[:, ::-1] if mirrored[k] else crop
    return output


def jittered(clips: Pixels, rng: np.random.Generator) -> Pixels:
    """Clips (n, T, ...), each played from a later begin or to an earlier end, maybe backwards."""
    count, frames = clips.shape[:2]
    output = np.empty_like(clips)
    for k in range(count):
        begin = rng.integers(0, frames // 4 + 1)
        end = frames - 1 - rng.integers(0, frames // 4 + 1)
        positions = np.round(np.linspace(begin, end, frames)).astype(np.int64)
        output[k] = clips[k, positions[::-1] if rng.random() < 0.5 else positions]
    return output


def _learning_rows(count: int, targets: Floats, policies: Sequence[str], held_out: Ints) -> Ints:
    if targets.shape != (count, len(policies)):
        raise ModelError(f"targets: expected shape ({count}, {len(policies)}), got {targets.shape}")
    learn = np.setdiff1d(np.arange(count), held_out)
    if not len(learn):
        raise ModelError("training rows: expected at least one that is not held out, got none")
    return learn


def _start_head(head: nn.Linear, targets: Floats) -> None:
    """Offsets at the log-odds of each policy's share; 0 where nothing can be learnt."""
    for p in range(targets.shape[1]):
        labels = targets[~np.isnan(targets[:, p]), p]
        share = float(labels.mean()) if len(labels) else 0.0
        if 0.0 < share < 1.0:
            head.bias.data[p] = float(np.log(share / (1.0 - share)))


def _freeze(encoder: nn.Module, layers: int) -> None:
    if not layers:
        return
    still = ("embeddings.", *(f"encoder.layer.{k}." for k in range(layers)))
    for name, parameter in encoder.named_parameters():
        if name.startswith(still):
            parameter.requires_grad_(False)


def _tensor(targets: Floats, device: str) -> Tensor:
    return torch.from_numpy(targets.astype(np.float32)).to(device)
