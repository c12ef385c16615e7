"""What an image shows: a ResNet and a ViT side by side, one head over both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.moderation.model.embedding_net import EmbeddingNet
from lib.moderation.model.fitting import Embedder, Runtime
from lib.moderation.model.model_config import ImageSize, stored_size
from lib.moderation.model.outputs import ModalityAnswer, Pixels
from lib.moderation.model.pixels import normalised, squares
from lib.moderation.model.serialization import (
    Files,
    Reader,
    check_sizes,
    config_of,
    fill_module,
    json_bytes,
    module_bytes,
    read_module,
)
from lib.moderation.model.torchvision_ops import transformers, vision

_ABOUT, _WEIGHTS = "image.json", "image.safetensors"
_BATCH = 64


class ImageNet(EmbeddingNet):
    """Both encoders and a head that starts at zero.

    Attributes:
        resnet: stages that end in a map of features.
        vit: patches to states; its first state stands for the image.
        head: over both embeddings.
    """

    def __init__(self, size: ImageSize, policies: int, vit: nn.Module) -> None:
        super().__init__()
        self.resnet, channels = resnet_of(size)
        self.vit = vit
        self.norm = nn.BatchNorm1d(channels)
        self.add_head(channels + int(config_of(vit)["hidden_size"]), policies, 0.1)

    def embed(self, pixels: Tensor) -> Tensor:
        """Embeddings (n, width) of inputs (n, 3, S, S)."""
        features = self.norm(self.resnet(pixels).mean(dim=(2, 3)))
        patches = self.vit(pixel_values=pixels).last_hidden_state[:, 0]
        return torch.cat([features, patches], dim=1)


@dataclass(frozen=True)
class ImageModel(Embedder):
    """A fitted model of images.

    Attributes:
        policies: names, in the order of log-odds.
        size: what it was built from.
        net: both encoders.
        runtime: where answers are computed.
    """

    policies: tuple[str, ...]
    size: ImageSize
    net: ImageNet
    runtime: Runtime

    def answer(self, images: Sequence[Pixels]) -> ModalityAnswer:
        """Embeddings and log-odds of RGB images (H, W, 3), each of its own size.

        Raises:
            ModelError: an image is of another form.
        """
        return self.answer_squares(squares(images, self.size.side))

    def answer_squares(self, pixels: Pixels) -> ModalityAnswer:
        """The same of pixels (n, S, S, 3) that `squares` prepared."""
        embeddings = np.zeros((len(pixels), self.width), dtype=np.float32)
        log_odds = np.zeros((len(pixels), len(self.policies)))
        self.net.eval()
        with torch.inference_mode(), self.runtime.precision():
            for start in range(0, len(pixels), _BATCH):
                part = slice(start, start + _BATCH)
                states = self.net.embed(normalised(pixels[part], self.runtime.device))
                embeddings[part] = states.float().cpu().numpy()
                log_odds[part] = self.net.head(states).double().cpu().numpy()
        return ModalityAnswer(embeddings, log_odds)

    def files(self) -> Files:
        """All that `read` needs."""
        about = {
            "policies": list(self.policies),
            "size": asdict(self.size),
            "vit": config_of(self.net.vit),
        }
        return {_ABOUT: json_bytes(about), _WEIGHTS: module_bytes(self.net)}

    @classmethod
    def read(cls, reader: Reader, runtime: Runtime) -> ImageModel:
        """As `files` stored it."""
        about = json.loads(reader(_ABOUT))
        check_sizes([about["size"], about["vit"]], _ABOUT)
        image_size = stored_size(ImageSize, about["size"], pretrained=None)
        net = read_module(
            lambda: ImageNet(image_size, len(about["policies"]), vit_of(about["vit"])),
            reader(_WEIGHTS),
            _WEIGHTS,
        )
        net = net.to(runtime.device).eval()
        return cls(tuple(map(str, about["policies"])), image_size, net, runtime)


def fresh_image_net(size: ImageSize, policies: int) -> ImageNet:
    """Encoders before training: pretrained where the size names weights, fresh elsewhere."""
    if size.vit is not None:
        vit = transformers().ViTModel.from_pretrained(
            size.vit, use_safetensors=True, add_pooling_layer=False
        )
        return ImageNet(size, policies, vit)
    config = {
        "image_size": size.side,
        "patch_size": size.patch,
        "hidden_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "intermediate_size": 4 * size.hidden,
        "hidden_dropout_prob": 0.0,
    }
    return ImageNet(size, policies, vit_of(config))


def vit_of(config: dict[str, Any], attention: str = "sdpa") -> nn.Module:
    """A ViT of fresh weights; `eager` attention is the one that explanations can look into."""
    module = transformers()
    vit_config = module.ViTConfig(**{k: v for k, v in config.items() if k != "model_type"})
    vit_config._attn_implementation = attention
    net: nn.Module = module.ViTModel(vit_config, add_pooling_layer=False)
    return net


def resnet_of(size: ImageSize) -> tuple[nn.Sequential, int]:
    """Stages up to the map of features, and its channels."""
    if size.resnet == "small":
        return _small(size.widths), size.widths[-1]
    model = vision().models.get_model(size.resnet, weights=None)
    channels = int(model.fc.in_features)
    if size.pretrained is not None:
        fill_module(model, Path(size.pretrained).read_bytes(), size.pretrained)
    return nn.Sequential(*list(model.children())[:-2]), channels


def _small(widths: Sequence[int]) -> nn.Sequential:
    """One residual block a stage; the first stage keeps the resolution, the next ones halve it."""
    block = vision().models.resnet.BasicBlock
    stages: list[nn.Module] = [
        nn.Conv2d(3, widths[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
        block(widths[0], widths[0]),
    ]
    for before, after in pairwise(widths):
        shortcut = nn.Sequential(
            nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after)
        )
        stages.append(block(before, after, stride=2, downsample=shortcut))
    return nn.Sequential(*stages)
