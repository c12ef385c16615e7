"""What happens in a clip: a 3D CNN, blended with a linear model of how things move."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.moderation.model.blending import blended
from lib.moderation.model.embedding_net import EmbeddingNet
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.model_config import VideoSize, stored_size
from lib.moderation.model.motion import MotionModel
from lib.moderation.model.outputs import Floats, ModalityAnswer, Pixels, Singles
from lib.moderation.model.pixels import evenly_spaced, grey, normalised
from lib.moderation.model.serialization import (
    Files,
    Reader,
    check_sizes,
    fill_module,
    json_bytes,
    module_bytes,
    read_module,
)
from lib.moderation.model.torchvision_ops import vision

_ABOUT = "video.json"
_BATCH = 16
_SMALL = "small"


class SmallVideoNet(EmbeddingNet):
    """3D convolutions over the differences of frames, so that nothing is learnt of places.

    Each stage halves height and width, every second one time as well.
    """

    def __init__(self, widths: Sequence[int], policies: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 1
        for index, width in enumerate(widths):
            stride = (1 if index % 2 == 0 else 2, 2, 2)
            stages += [
                nn.Conv3d(before, width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm3d(width),
                nn.ReLU(inplace=True),
            ]
            before = width
        self.stages = nn.Sequential(*stages)
        self.add_head(2 * before, policies, 0.3)

    def embed(self, clips: Tensor) -> Tensor:
        """Embeddings (n, width) of luminance differences (n, 1, T, S, S)."""
        states = self.stages(clips).mean(dim=(3, 4))  # (n, channels, time)
        return torch.cat([states.mean(dim=2), states.amax(dim=2)], dim=1)


class TorchvisionVideoNet(EmbeddingNet):
    """A video network of torchvision over RGB frames, its last layer replaced."""

    def __init__(self, size: VideoSize, policies: int) -> None:
        super().__init__()
        self.stages = vision().models.get_model(size.network, weights=None)
        if size.pretrained is not None:
            fill_module(self.stages, Path(size.pretrained).read_bytes(), size.pretrained)
        width = int(self.stages.fc.in_features)
        self.stages.fc = nn.Identity()
        self.add_head(width, policies, 0.3)

    def embed(self, clips: Tensor) -> Tensor:
        """Embeddings (n, width) of RGB (n, 3, T, S, S)."""
        states: Tensor = self.stages(clips)
        return states


VideoNet = SmallVideoNet | TorchvisionVideoNet


@dataclass(frozen=True)
class VideoModel:
    """A fitted model of clips.

    Attributes:
        policies: names, in the order of log-odds.
        size: what it was built from.
        nets: members of different seeds; log-odds are averaged, embeddings those of the first.
        motion: the linear model, or None.
        blend: (policies, 3): weights of networks and motion, offset.
        runtime: where answers are computed.
    """

    policies: tuple[str, ...]
    size: VideoSize
    nets: tuple[VideoNet, ...]
    motion: MotionModel | None
    blend: Floats
    runtime: Runtime

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return int(self.nets[0].head.in_features)

    def answer(self, clips: Sequence[Pixels]) -> ModalityAnswer:
        """Embeddings and log-odds of clips (T, H, W, 3) RGB, each of its own length and size.

        Raises:
            ModelError: a clip is of another form.
        """
        return self.answer_frames([self.frames(clip) for clip in clips])

    def frames(self, clip: Pixels) -> Pixels:
        """What the model sees of a clip (frames, side, side, 3)."""
        return evenly_spaced(clip, self.size.frames, self.size.side)

    def answer_frames(self, clips: Sequence[Pixels]) -> ModalityAnswer:
        """The same of clips that `frames` prepared."""
        embeddings, log_odds = self.network_answer(clips)
        if self.motion is None or not len(clips):
            return ModalityAnswer(embeddings, log_odds)
        members = np.stack([log_odds, self.motion.log_odds(clips)])
        return ModalityAnswer(embeddings, blended(members, self.blend))

    def network_answer(self, clips: Sequence[Pixels]) -> tuple[Singles, Floats]:
        """Embeddings of the first network and log-odds of all, over a clip and its mirror image."""
        embeddings = np.zeros((len(clips), self.width), dtype=np.float32)
        log_odds = np.zeros((len(clips), len(self.policies)))
        with torch.inference_mode(), self.runtime.precision():
            for start in range(0, len(clips), _BATCH):
                part = slice(start, start + _BATCH)
                inputs = video_inputs(np.stack(clips[part]), self.size, self.runtime.device)
                for net in self.nets:
                    net.eval()
                    for view in (inputs, inputs.flip(-1)):
                        states = net.embed(view)
                        log_odds[part] += net.head(states).double().cpu().numpy()
                        if net is self.nets[0]:
                            embeddings[part] += states.float().cpu().numpy() / 2
        return embeddings, log_odds / (2 * len(self.nets))

    def files(self) -> Files:
        """All that `read` needs."""
        about = {
            "policies": list(self.policies),
            "size": asdict(self.size),
            "blend": self.blend.tolist(),
            "motion": self.motion is not None,
        }
        files = {_ABOUT: json_bytes(about)}
        files |= {_weights(k): module_bytes(net) for k, net in enumerate(self.nets)}
        return files | (self.motion.files() if self.motion is not None else {})

    @classmethod
    def read(cls, reader: Reader, runtime: Runtime) -> VideoModel:
        """As `files` stored it."""
        about = json.loads(reader(_ABOUT))
        check_sizes(about["size"], _ABOUT)
        video_size = stored_size(VideoSize, about["size"], pretrained=None)
        policies = tuple(map(str, about["policies"]))
        nets = []
        for k in range(video_size.members):
            net = read_module(
                lambda: fresh_video_net(video_size, len(policies)), reader(_weights(k)), _weights(k)
            )
            nets.append(net.to(runtime.device).eval())
        motion = MotionModel.read(reader) if about["motion"] else None
        return cls(policies, video_size, tuple(nets), motion, np.array(about["blend"]), runtime)


def fresh_video_net(size: VideoSize, policies: int) -> VideoNet:
    """A network before training."""
    if size.network == _SMALL:
        return SmallVideoNet(size.widths, policies)
    return TorchvisionVideoNet(size, policies)


def video_inputs(clips: Pixels, size: VideoSize, device: str) -> Tensor:
    """Inputs of the network of this size.

    Args:
        clips: (n, T, S, S, 3).
        size: says which network.
        device: where to.

    Returns:
        (n, 1, T-1, S, S) differences of luminance, in units of each clip's own spread, for the
        small network; (n, 3, T, S, S) RGB for one of torchvision.
    """
    if size.network != _SMALL:
        return normalised(clips, device).movedim(1, 2).contiguous()
    shades = grey(clips)
    spread = np.maximum(shades.std(axis=(1, 2, 3), keepdims=True), 0.05)
    return torch.from_numpy(np.diff(shades / spread, axis=1)[:, None]).to(device)


def _weights(member: int) -> str:
    return f"video-{member}.safetensors"
