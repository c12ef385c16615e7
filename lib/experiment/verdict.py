"""The answer of an experiment: a sentence in money, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lib.experiment.ratio_check import RatioCheck
from lib.registry.names import to_iso

VerdictAction: TypeAlias = Literal[
    "promote", "keep the champion", "stop: futile", "go on", "start ab", "void"
]
DECIDED: tuple[VerdictAction, ...] = ("promote", "keep the champion")


@dataclass(frozen=True)
class WeeklyGain:
    """Money a week that the challenger keeps more, were it to decide for all, with its interval.

    Attributes:
        estimate, low, high: currency units a week.
        confidence: that the interval covers at every look together, e.g. 0.95.
        currency: its code.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    currency: str

    def __str__(self) -> str:
        verb = "keeps" if self.estimate >= 0.0 else "loses"
        sign = 1.0 if self.estimate >= 0.0 else -1.0
        low, high = sorted((sign * self.low, sign * self.high))
        low_text, high_text = amount_text(low), amount_text(high)
        return (
            f"the challenger {verb} {amount_text(abs(self.estimate))} {self.currency} a week more "
            f"({100 * self.confidence:g}%: {low_text} to {high_text})"
        )


def amount_text(amount: float) -> str:
    """Money in about three digits, thousands apart.

    >>> amount_text(12_437.2), amount_text(-3.14159), amount_text(0.0)
    ('12,400', '-3.14', '0')
    """
    if amount == 0.0:
        return "0"
    rounded = float(f"{amount:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100.0 else f"{rounded:.3g}"


def capital(sentence: str) -> str:
    """A sentence with a capital letter at its begin."""
    return sentence[:1].upper() + sentence[1:]


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    Attributes:
        gain: with its interval.
        z: the estimate in standard errors.
        bound: of this look, in standard errors.
        is_last: whether no further outcome is to come.
        win_probability: of promoting at the end, were the smallest gain true; None without one.
        smallest_gain: worth having, currency units a week, None where none is declared.
        until: declared end, microseconds since 1970 UTC, None without.
        mode: `shadow` or `ab`.
    """

    gain: WeeklyGain
    z: float
    bound: float
    is_last: bool
    win_probability: float | None
    smallest_gain: float | None
    until: int | None
    mode: str


@dataclass(frozen=True)
class Verdict:
    """What to do, and the sentence that says so."""

    action: VerdictAction
    sentence: str


FUTILE = 0.1
"""Below this probability to win, going on is futile."""


def verdict_on(evidence: Evidence, ratio: RatioCheck | None) -> Verdict:
    """Decide by the boundary of this look; arms that are uneven void everything.

    Args:
        evidence: of this look.
        ratio: of the arms; None in shadow mode.
    """
    if ratio is not None and not ratio.is_even:
        return Verdict("void", _void_sentence(ratio))
    gain = str(evidence.gain)
    if evidence.mode == "shadow":
        return _on_shadow(evidence, gain)
    if abs(evidence.z) >= evidence.bound:
        action: VerdictAction = "promote" if evidence.z > 0.0 else "keep the champion"
        return Verdict(action, f"{gain}; {action}")
    if evidence.is_last:
        return Verdict(
            "keep the champion", f"{gain}, which chance alone can bring; keep the champion"
        )
    if evidence.win_probability is not None and evidence.win_probability < FUTILE:
        worth = f"{amount_text(evidence.smallest_gain or 0.0)} {evidence.gain.currency}"
        return Verdict(
            "stop: futile",
            f"{gain}; stop, as a gain of {worth} a week would be shown with a probability of only "
            f"{evidence.win_probability:.0%} were it true",
        )
    end = f" until {to_iso(evidence.until)[:10]}" if evidence.until is not None else ""
    return Verdict("go on", f"{gain}, not beyond what chance can bring; go on{end}")


def _on_shadow(evidence: Evidence, gain: str) -> Verdict:
    gain = gain.replace("the challenger keeps", "the challenger would keep")
    gain = gain.replace("the challenger loses", "the challenger would lose")
    if evidence.z >= evidence.bound:
        return Verdict("start ab", f"{gain}, by the champion's labels; start an ab experiment")
    if evidence.z <= -evidence.bound or evidence.is_last:
        return Verdict("keep the champion", f"{gain}, by the champion's labels; keep the champion")
    return Verdict("go on", f"{gain}, by the champion's labels; go on")


def _void_sentence(ratio: RatioCheck) -> str:
    entities = ratio.champion + ratio.challenger
    return (
        f"the challenger's arm has {ratio.challenger:,} of {entities:,} entities where "
        f"{ratio.expected_challenger:,.0f} were to be expected (p = {ratio.p_value:.1g}); void: "
        "find out which arm loses entities before any figure is believed"
    )
