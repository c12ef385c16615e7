"""The curves that a week was planned by, stored beside it so that changes of it have a cost.

Without them a change would be priced by what a model says later, not by what the plan was made of.
No id of a machine stands in them.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lib.maintenance.schedule.problem import ScheduleError
from lib.maintenance.schedule.week_problem import Site
from lib.records.models import Json
from lib.survival.curves import Curves

_MOST_VALUES = 50_000_000


@dataclass(frozen=True)
class Basis:
    """Machines and their curves.

    Attributes:
        sites: (n,) machines.
        machine_curves: (n,) curves, hours from the week's start.
        by_mode: the same by component.
    """

    sites: Sequence[Site]
    machine_curves: Curves
    by_mode: Mapping[str, Curves]


def pack_curves(basis: Basis, components: Collection[str]) -> dict[str, Json]:
    """Curves of whole machines and of the components that are planned, as JSON.

    Example:
        >>> curves = Curves(np.array([0.0, 6.0]), np.array([[1.0, 0.5]]))
        >>> packed = pack_curves(Basis([Site("m")], curves, {"seal": curves}), ["seal"])
        >>> unpack_basis(packed, pack_sites([Site("m")])).by_mode["seal"].survival.tolist()
        [[1.0, 0.5]]
    """
    curves = basis.machine_curves
    return {
        "grid": curves.times.tolist(),
        "between": curves.between,
        "whole": _packed(curves),
        "modes": {
            name: _packed(of_mode) for name, of_mode in basis.by_mode.items() if name in components
        },
    }


def pack_sites(sites: Sequence[Site]) -> list[Json]:
    """Machines as JSON."""
    return [asdict(site) for site in sites]


def unpack_basis(packed: Mapping[str, Any], sites: Sequence[Mapping[str, Any]]) -> Basis:
    """See `pack_curves` and `pack_sites`.

    Raises:
        ScheduleError: they are damaged, or do not belong together.
    """
    try:
        machines = [Site(**site) for site in sites]
        grid = np.array(packed["grid"], dtype=np.float64)
        shape = (len(machines), len(grid))
        between = packed["between"]
        return Basis(
            machines,
            Curves(grid, _unpacked(packed["whole"], shape), between),
            {
                name: Curves(grid, _unpacked(values, shape), between)
                for name, values in packed["modes"].items()
            },
        )
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise ScheduleError(f"basis: the stored curves of the week are damaged: {error}") from error


def _packed(curves: Curves) -> str:
    values = np.ascontiguousarray(curves.survival, dtype="<f8")
    return base64.b64encode(zlib.compress(values.tobytes())).decode()


def _unpacked(text: str, shape: tuple[int, int]) -> Any:
    size = shape[0] * shape[1] * 8
    if size > _MOST_VALUES * 8:
        raise ValueError("too many curves")
    content = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    return np.frombuffer(content, dtype="<f8").reshape(shape).astype(np.float64)
