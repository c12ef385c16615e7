"""Physical units that a mapping file may convert: exact linear factors."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from lib.contract.error import ContractError, did_you_mean


@dataclass(frozen=True, slots=True)
class Linear:
    """`wanted = came * scale + offset`."""

    scale: float
    offset: float = 0.0


def _table() -> Mapping[str, tuple[str, Fraction, Fraction]]:
    one, none = Fraction(1), Fraction(0)
    inch, psi = Fraction("25.4"), Fraction("0.0689475729316836")
    return {
        "degC": ("temperature", one, none),
        "K": ("temperature", one, Fraction("-273.15")),
        "degF": ("temperature", Fraction(5, 9), Fraction(-160, 9)),
        "mm/s": ("speed of vibration", one, none),
        "in/s": ("speed of vibration", inch, none),
        "bar": ("pressure", one, none),
        "kPa": ("pressure", Fraction(1, 100), none),
        "MPa": ("pressure", Fraction(10), none),
        "psi": ("pressure", psi, none),
        "kW": ("power", one, none),
        "W": ("power", Fraction(1, 1000), none),
        "hp": ("power", Fraction("0.745699871582270"), none),
        "rpm": ("rotation", one, none),
        "Hz": ("rotation", Fraction(60), none),
        "kHz": ("rotation", Fraction(60_000), none),
        "h": ("duration", one, none),
        "min": ("duration", Fraction(1, 60), none),
        "s": ("duration", Fraction(1, 3600), none),
        "d": ("duration", Fraction(24), none),
        "%": ("share", one, none),
        "fraction": ("share", Fraction(100), none),
        "deg": ("angle", one, none),
    }


UNITS = _table()


def conversion(came: str, wanted: str) -> Linear | None:
    """How to bring values in unit `came` to unit `wanted`; None where they are the same.

    >>> conversion("degF", "degC").scale * 212 + conversion("degF", "degC").offset
    100.0

    Raises:
        ContractError: a unit is unknown, or the two measure different things.
    """
    if came == wanted:
        return None
    for unit in (came, wanted):
        if unit not in UNITS:
            raise ContractError(f"unknown unit '{unit}'; {did_you_mean(unit, UNITS)}")
    (kind, scale, offset), (other, over, under) = UNITS[came], UNITS[wanted]
    if kind != other:
        raise ContractError(f"'{came}' measures {kind}, '{wanted}' measures {other}")
    return Linear(float(scale / over), float((offset - under) / over))
