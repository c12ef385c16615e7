"""How a fraud model is fitted; light to import, so that jobs can read their options first."""

from dataclasses import dataclass, field

from lib.boosting import parameters


@dataclass(frozen=True)
class TreeSettings(parameters.TreeSettings):
    """How the trees grow; the defaults are those of the design."""

    max_bin: int = 256
    """histogram bins of a feature"""
    positive_weight: float = 1.0
    """weight of a fraud relative to a good payment"""
    early_stopping: int = 50
    """stop after so many trees without a lower log loss on later rows"""
    negative_share: float = 1.0
    """share of good payments each booster sees, drawn by its seed"""


@dataclass(frozen=True)
class NetworkSettings:
    """The network and its training; the layers are those of the design."""

    hidden: tuple[int, ...] = (256, 128, 64)
    """units of each hidden layer"""
    dropout: float = 0.3
    """share of units left out at random while training"""
    learning_rate: float = 1e-3
    """step of AdamW"""
    weight_decay: float = 1e-4
    """decoupled weight decay of AdamW"""
    batch_size: int = 1024
    """rows of one step, over all workers together"""
    epochs: int = 30
    """most passes over the data"""
    patience: int = 5
    """stop after so many epochs without a lower loss on later rows"""
    positive_weight: float = 5.0
    """weight of a fraud relative to a good payment"""
    networks: int = 1
    """networks of different seeds, whose log-odds are averaged"""


@dataclass(frozen=True)
class ModelSettings:
    """Both halves, and what they share."""

    trees: TreeSettings = field(default_factory=TreeSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    recency_half_life_days: float = 0.0
    seed: int = 7
