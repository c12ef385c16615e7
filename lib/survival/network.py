"""A network whose outputs are hazards: constant within intervals, one set per cause."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lib.durable import PUBLIC_FILE, replace_file
from lib.survival.curves import Curves
from lib.survival.outcomes import Floats, SurvivalError
from lib.survival.scaling import Scaling

_ROWS_AT_ONCE = 65_536


class HazardModule(nn.Module):
    """Dense, SiLU, dropout for each hidden layer; hazards through softplus.

    The last layer starts at the logarithm of rates that are the same for all, so that an untrained
    network is the marginal curve.

    Args:
        width: columns of its input.
        hidden: units of each hidden layer; none at all is a linear model.
        dropout: share of units left out at random while training.
        rates: (causes, m) hazards to start from, per unit of time.
    """

    def __init__(self, width: int, hidden: tuple[int, ...], dropout: float, rates: Floats) -> None:
        super().__init__()
        self.shape = rates.shape
        layers: list[nn.Module] = []
        for units in hidden:
            layers += [nn.Linear(width, units), nn.SiLU(), nn.Dropout(dropout)]
            width = units
        last = nn.Linear(width, rates.size)
        start = torch.as_tensor(rates, dtype=torch.float64).flatten()
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.copy_(torch.where(start > 20.0, start, torch.log(torch.expm1(start))))
        self.layers = nn.Sequential(*layers, last)

    def forward(self, inputs: Tensor) -> Tensor:
        """Hazards (n, causes, m) of standardised inputs (n, width), float32."""
        hazards: Tensor = nn.functional.softplus(self.layers(inputs))
        return hazards.reshape(len(inputs), *self.shape)


@dataclass(frozen=True)
class HazardNetwork:
    """One or more networks that answer together: the mean of their curves.

    Attributes:
        scaling: of its columns.
        cuts: (m + 1,) borders of the intervals, from 0; time units are the training outcomes'.
        members: networks of different seeds.
        hidden: units of their hidden layers.
        failing: how many of the causes, from the first on, are failures: modes of them, where
            more than one.
    """

    scaling: Scaling
    cuts: Floats
    members: tuple[HazardModule, ...]
    hidden: tuple[int, ...]
    failing: int = 1

    @property
    def causes(self) -> int:
        """How many causes can end a subject."""
        return int(self.members[0].shape[0])

    def curves(self, rows: Floats) -> Curves:
        """S(t) of failures alone, for rows (n, columns): what if nothing else ended a subject?

        Other causes count as censoring; this is the curve to schedule by, since service is what is
        to be decided. For the share that fails before anything else see `incidence`.
        """
        parts = [
            np.exp(-self._cumulative(hazards[:, : self.failing]).sum(axis=1))
            for hazards in self._all(rows)
        ]
        return Curves(self.cuts, np.mean(parts, axis=0))

    def cumulative(self, rows: Floats) -> Floats:
        """(n, failing, m + 1) integrated hazard of each kind of failure by each cut."""
        parts = [self._cumulative(hazards[:, : self.failing]) for hazards in self._all(rows)]
        return np.asarray(np.mean(parts, axis=0))

    def incidence(self, rows: Floats) -> Floats:
        """(n, causes, m + 1) chance that a cause ended the subject by each cut, before the others.

        Cumulative incidence, Putter, Fiocco and Geskus, Statistics in Medicine 26 (2007).
        """
        return np.asarray(
            np.mean([self._incidence(hazards) for hazards in self._all(rows)], axis=0)
        )

    def save(self, folder: Path, name: str = "hazards") -> None:
        """`name`.safetensors and `name`.json, each in place of what was there."""
        tensors = {
            f"{number}.{key}": value.contiguous()
            for number, member in enumerate(self.members)
            for key, value in member.state_dict().items()
        }
        about = {
            "cuts": self.cuts.tolist(),
            "causes": self.causes,
            "failing": self.failing,
            "hidden": list(self.hidden),
            "members": len(self.members),
            "scaling": self.scaling.to_json(),
        }
        replace_file(folder / f"{name}.safetensors", save(tensors), PUBLIC_FILE)
        replace_file(
            folder / f"{name}.json", json.dumps(about, indent=1).encode() + b"\n", PUBLIC_FILE
        )

    @classmethod
    def load(cls, folder: Path, name: str = "hazards") -> HazardNetwork:
        """What `save` wrote; nothing in the files is executed.

        Raises:
            SurvivalError: a part is missing or has another shape than the rest says.
        """
        try:
            about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            scaling = Scaling.from_json(about["scaling"])
            cuts = np.array(about["cuts"], dtype=np.float64)
            hidden = tuple(int(units) for units in about["hidden"])
            tensors = load_file(folder / f"{name}.safetensors")
            members = _members(tensors, about, scaling, cuts, hidden)
            failing = int(about["failing"])
            if not 1 <= failing <= int(about["causes"]):
                raise ValueError(f"{failing} of {about['causes']} causes cannot be failures")
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise SurvivalError(f"{folder / name}: not a hazard network: {error}") from error
        return cls(scaling, cuts, members, hidden, failing)

    def _all(self, rows: Floats) -> list[Floats]:
        """Hazards (n, causes, m) by each member, float64."""
        inputs = torch.from_numpy(self.scaling.apply(rows).astype(np.float32))
        with torch.inference_mode():
            return [
                torch.cat([member.eval()(part) for part in torch.split(inputs, _ROWS_AT_ONCE)])
                .double()
                .numpy()
                if len(inputs)
                else np.empty((0, *member.shape))
                for member in self.members
            ]

    def _cumulative(self, hazards: Floats) -> Floats:
        """(n, causes, m + 1) integrated hazards at the cuts."""
        grown = np.cumsum(hazards * np.diff(self.cuts), axis=2)
        return np.concatenate([np.zeros((*grown.shape[:2], 1)), grown], axis=2)

    def _incidence(self, hazards: Floats) -> Floats:
        total = hazards.sum(axis=1)
        survival = np.exp(-self._cumulative(hazards).sum(axis=1))
        ended = -np.diff(survival, axis=1) / np.maximum(total, 1e-300)
        grown = np.cumsum(hazards * ended[:, None, :], axis=2)
        return np.concatenate([np.zeros((*grown.shape[:2], 1)), grown], axis=2)


def _members(
    tensors: dict[str, Tensor],
    about: dict[str, Any],
    scaling: Scaling,
    cuts: Floats,
    hidden: tuple[int, ...],
) -> tuple[HazardModule, ...]:
    if cuts.ndim != 1 or len(cuts) < 2 or cuts[0] != 0.0 or (np.diff(cuts) <= 0).any():
        raise ValueError("cuts do not ascend from 0")
    causes = int(about["causes"])
    members = []
    for number in range(int(about["members"])):
        state = {
            name.split(".", 1)[1]: value
            for name, value in tensors.items()
            if name.startswith(f"{number}.")
        }
        _check_shapes(state, len(scaling.columns), (*hidden, causes * (len(cuts) - 1)))
        member = HazardModule(len(scaling.columns), hidden, 0.0, np.ones((causes, len(cuts) - 1)))
        member.load_state_dict(state)
        if not all(torch.isfinite(value).all() for value in state.values()):
            raise ValueError("a weight is not a finite number")
        members.append(member.eval())
    if not members:
        raise ValueError("it has no members")
    return tuple(members)


def _check_shapes(state: dict[str, Tensor], width: int, outputs: tuple[int, ...]) -> None:
    """Refuses sizes that the stored weights do not have, before a network takes their memory."""
    weights = [tuple(value.shape) for name, value in state.items() if name.endswith("weight")]
    inputs = (width, *outputs[:-1])
    expected = list(zip(outputs, inputs, strict=True))
    if sorted(weights) != sorted(expected):
        raise ValueError(f"layers of the shapes {sorted(weights)} where {expected} are described")
