"""How a hazard network is fitted; light to import, so that jobs can read their options first."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HazardSettings:
    """The network and its training; the layers are those of the design."""

    hidden: tuple[int, ...] = (128, 64, 32)
    """units of each hidden layer"""
    dropout: float = 0.3
    """share of units left out at random while training"""
    intervals: int = 24
    """intervals of time with a hazard of their own, at most"""
    horizon: float | None = None
    """outcomes are watched until then, in their unit; the longest failure where none is given"""
    learning_rate: float = 2e-3
    """highest step of AdamW; it rises and falls once (Smith and Topin 2018)"""
    weight_decay: float = 1e-2
    """decoupled weight decay of AdamW"""
    batch_size: int = 256
    """rows of one step, over all workers together"""
    epochs: int = 25
    """passes over the data; the weights of the best one are kept"""
    held_out: float = 0.15
    """share of groups that choose the epoch; 0 keeps the last one"""
    members: int = 1
    """networks of different seeds, whose curves are averaged"""
