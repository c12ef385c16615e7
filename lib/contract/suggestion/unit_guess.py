"""The physical unit that the name of a column tells."""

from lib.contract.unit import UNITS, symbol

_IN_NAMES = {
    **dict.fromkeys(("degc", "celsius"), "degC"),
    **dict.fromkeys(("degf", "fahrenheit"), "degF"),
    **dict.fromkeys(("pct", "percent"), "%"),
    **{name: name for name in ("rpm", "bar", "psi", "mm", "kg")},
    **{"kelvin": "K", "kpa": "kPa", "hz": "Hz", "kw": "kW", "volts": "V", "amps": "A"},
    **{"nm": "Nm", "hours": "h", "minutes": "min"},
}


def unit_of(name: str) -> str:
    """The physical unit that a name tells, "" where it tells none.

    >>> unit_of("Air temperature [K]"), unit_of("speed_rpm"), unit_of("volt")
    ('K', 'rpm', '')
    """
    bracket = name.replace("(", "[").replace(")", "]").rpartition("[")[2].partition("]")
    if bracket[1] and symbol(bracket[0]) in UNITS:
        return symbol(bracket[0])
    last = name.replace(" ", "_").rpartition("_")
    return _IN_NAMES.get(last[2].lower(), "") if last[1] else ""
