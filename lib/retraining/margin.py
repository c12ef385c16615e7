"""By how much a challenger must be better: in money a week, and how far the measure may fall."""

import math
from dataclasses import dataclass

_FORM = "expected an amount a week such as 500, or a share of the champion's money such as 2%"


class MarginError(ValueError):
    """A margin that cannot be meant."""


@dataclass(frozen=True)
class Margin:
    """What the lower limit of the gain must beat.

    Attributes:
        amount: currency units a week.
        share: of the absolute money of the champion a week, 0 to 1.
    """

    amount: float = 0.0
    share: float = 0.0

    def per_week(self, champion_money: float) -> float:
        """Currency units a week, beside a champion that brings or costs `champion_money` a week."""
        return max(self.amount, self.share * abs(champion_money))


def parse_margin(text: str) -> Margin:
    """Read `500` (currency units a week) or `2%` (of the champion's money).

    >>> parse_margin("2%").per_week(-30_000.0)
    600.0

    Raises:
        MarginError: it is neither, is below 0, or is not finite.
    """
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError as error:
        raise MarginError(f"--margin: {_FORM}, got {text!r}") from error
    if not math.isfinite(value) or value < 0:
        raise MarginError(f"--margin: {_FORM}, 0 or more, got {text!r}")
    return Margin(share=value / 100.0) if text.strip().endswith("%") else Margin(amount=value)
