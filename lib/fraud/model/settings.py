"""How a fraud model is fitted; light to import, so that jobs can read their options first."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TreeSettings:
    """How the trees grow; the defaults are those of the design."""

    trees: int = 500
    """most trees of one booster; early stopping keeps fewer"""
    depth: int = 6
    """most splits from root to leaf"""
    learning_rate: float = 0.05
    """share of each tree's correction that is taken"""
    subsample: float = 0.8
    """share of rows drawn for each tree"""
    colsample: float = 0.8
    """share of features drawn for each tree"""
    min_child_weight: float = 1.0
    """least hessian weight of a leaf"""
    l2: float = 1.0
    """ridge penalty on leaf values"""
    max_bin: int = 256
    """histogram bins of a feature"""
    positive_weight: float = 1.0
    """weight of a fraud relative to a good payment"""
    early_stopping: int = 50
    """stop after so many trees without a lower log loss on later rows"""
    boosters: int = 1
    """boosters of different seeds, whose log-odds are averaged"""
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
