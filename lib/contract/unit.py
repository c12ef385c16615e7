"""Physical units that a mapping file may convert: exact linear factors, with SI prefixes."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from lib.contract.declaration import ContractError
from lib.declaration import did_you_mean


@dataclass(frozen=True, slots=True)
class Linear:
    """`wanted = came * scale + offset`."""

    scale: float
    offset: float = 0.0


_UNIT, _INCH, _POUND = Fraction(1), Fraction("0.0254"), Fraction("0.45359237")
_GRAVITY = Fraction("9.80665")
_POUND_FORCE = _POUND * _GRAVITY
_PREFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "c": Fraction(1, 100),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
}
# kind: (prefixes, unit with a prefix and without, its worth), (others with theirs)
_PREFIXED = (
    ("pressure", "mkM", "Pa", _UNIT),
    ("pressure", "m", "bar", Fraction(10**5)),
    ("power", "mkM", "W", _UNIT),
    ("rotation", "mkM", "Hz", _UNIT),
    ("length", "numck", "m", _UNIT),
    ("speed", "mc", "m/s", _UNIT),
    ("acceleration", "mc", "m/s2", _UNIT),
    ("acceleration", "m", "g", _GRAVITY),
    ("electric current", "um", "A", _UNIT),
    ("voltage", "umk", "V", _UNIT),
    ("energy", "kM", "J", _UNIT),
    ("energy", "kM", "Wh", Fraction(3600)),
    ("force", "kM", "N", _UNIT),
    ("torque", "mk", "Nm", _UNIT),
    ("duration", "um", "s", _UNIT),
    ("volume", "m", "l", Fraction(1, 1000)),
)
_SINGLE = (
    ("pressure", "psi", _POUND_FORCE / _INCH**2),
    ("pressure", "atm", Fraction(101_325)),
    ("pressure", "mmHg", Fraction("133.322387415")),
    ("power", "hp", Fraction(550) * _POUND_FORCE * Fraction("0.3048")),
    ("rotation", "rpm", Fraction(1, 60)),
    ("length", "in", _INCH),
    ("length", "mil", _INCH / 1000),
    ("length", "ft", _INCH * 12),
    ("speed", "in/s", _INCH),
    ("speed", "ft/s", _INCH * 12),
    ("speed", "km/h", Fraction(1, 3) * Fraction(5, 6)),
    ("mass", "kg", _UNIT),
    ("mass", "t", Fraction(1000)),
    ("mass", "lb", _POUND),
    ("force", "lbf", _POUND_FORCE),
    ("torque", "lbf.ft", _POUND_FORCE * Fraction("0.3048")),
    ("duration", "min", Fraction(60)),
    ("duration", "h", Fraction(3600)),
    ("duration", "d", Fraction(86_400)),
    ("volume", "m3", _UNIT),
    ("flow", "l/min", Fraction(1, 60_000)),
    ("flow", "l/s", Fraction(1, 1000)),
    ("flow", "m3/h", Fraction(1, 3600)),
    ("share", "%", Fraction(1, 100)),
    ("share", "fraction", _UNIT),
    ("share", "ppm", Fraction(1, 10**6)),
    ("angle", "deg", _UNIT),
    ("noise", "dB", _UNIT),
)
_TEMPERATURES = {
    "degC": ("temperature", _UNIT, Fraction(0)),
    "K": ("temperature", _UNIT, Fraction("-273.15")),
    "degF": ("temperature", Fraction(5, 9), Fraction(-160, 9)),
}
_SPELLINGS = {
    "°C": "degC", "Celsius": "degC", "celsius": "degC", "kelvin": "K", "Kelvin": "K",
    "°F": "degF", "Fahrenheit": "degF", "fahrenheit": "degF", "ips": "in/s", "inch/s": "in/s",
    "inch": "in", "PSI": "psi", "RPM": "rpm", "1/min": "rpm", "U/min": "rpm", "percent": "%",
    "L": "l", "L/min": "l/min", "kph": "km/h", "N.m": "Nm", "sec": "s", "hours": "h",
}  # fmt: skip


def _table() -> Mapping[str, tuple[str, Fraction, Fraction]]:
    none = Fraction(0)
    table = dict(_TEMPERATURES)
    for kind, prefixes, unit, worth in _PREFIXED:
        table[unit] = (kind, worth, none)
        for prefix in prefixes:
            table[prefix + unit] = (kind, worth * _PREFIXES[prefix], none)
    return table | {unit: (kind, worth, none) for kind, unit, worth in _SINGLE}


UNITS = _table()
"""By symbol: what it measures, and scale and offset to the first unit of that kind."""


def symbol(unit: str) -> str:
    """The symbol of a unit in one spelling: °C is degC, m/s² and m/s^2 are m/s2, µm is um.

    >>> symbol("m/s²"), symbol("°F"), symbol("kHz")
    ('m/s2', 'degF', 'kHz')
    """
    plain = unit.strip()
    for other, usual in (("²", "2"), ("³", "3"), ("^", ""), ("**", ""), ("µ", "u"), ("μ", "u")):
        plain = plain.replace(other, usual)
    plain = plain.replace("·", ".").replace("*", ".").replace(" ", "")
    return _SPELLINGS.get(plain, plain)


def conversion(source: str, target: str) -> Linear | None:
    """How to bring values in unit `source` to unit `target`; None where they are the same.

    >>> conversion("degF", "degC").scale * 212 + conversion("degF", "degC").offset
    100.0
    >>> conversion("kHz", "Hz").scale, conversion("in/s", "mm/s").scale
    (1000.0, 25.4)

    Raises:
        ContractError: a unit is unknown, or the two measure different things.
    """
    source, target = symbol(source), symbol(target)
    if source == target:
        return None
    for unit in (source, target):
        if unit not in UNITS:
            raise ContractError(f"unknown unit '{unit}'; {did_you_mean(unit, UNITS)}")
    (kind, scale, offset), (other, over, under) = UNITS[source], UNITS[target]
    if kind != other:
        raise ContractError(f"'{source}' measures {kind}, '{target}' measures {other}")
    return Linear(float(scale / over), float((offset - under) / over))
