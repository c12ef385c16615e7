"""Who counts as a customer at a moment, and what leaving means."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lib.churn.vocabulary import ChurnError
from lib.feature import DAY

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
NEVER = np.iinfo(np.int64).max
FEWEST_CUSTOMERS = 5
"""Customers who leave, and who stay, that each of training and test needs: one for each fold."""
Means = Literal["notice", "no_invoice", "no_usage"]


@dataclass(frozen=True)
class Target:
    """What is foreseen: whether a customer leaves in `(t + lead, t + lead + window]`.

    A customer who leaves during the lead is no row of that moment: it was too late to act.

    Raises:
        ChurnError: a number that means nothing.
    """

    means: Means = "notice"
    """definition of churn: notice, a churn event; no_invoice or no_usage, none of them in the whole
    window, for customers who had some in the last --active-days"""
    window_days: int = 60
    """length of the prediction window, in days"""
    lead_days: int = 0
    """days between the snapshot time and the begin of the prediction window"""
    active_days: int = 90
    """days before the snapshot time in which a customer must have been active, for no_invoice and
    no_usage"""

    def __post_init__(self) -> None:
        if self.window_days < 1 or self.lead_days < 0 or self.active_days < 1:
            raise ChurnError(
                "window_days and active_days: expected 1 or more, lead_days: 0 or more, got "
                f"{self.window_days}, {self.active_days} and {self.lead_days}"
            )

    @property
    def leavers(self) -> str:
        """What customers who leave are called: those with notice, or who fall silent."""
        return {
            "notice": "customers with notice",
            "no_invoice": "customers who stop being invoiced",
            "no_usage": "customers who stop using the product",
        }[self.means]

    @property
    def reach_us(self) -> int:
        """Microseconds after a moment until its outcome is known."""
        return (self.lead_days + self.window_days) * DAY
