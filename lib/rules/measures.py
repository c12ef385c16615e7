"""What a tally says about rules: precision, recall, money, and whom they hurt."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from lib.rules.ruleset import RuleSet
from lib.rules.tally import Counts, Tally

WHOLE_SET = "whole set"


@dataclass(frozen=True, slots=True)
class Costs:
    """What the money is reckoned with; every figure is an assumption and printed as such."""

    stopped_share: float = 1.0
    """Share of a declined fraud's amount that is saved."""
    good_decline_minor: int = 500
    """Cost of declining one good payment (support, goodwill), in minor units."""
    good_decline_share: float = 0.02
    """Share of a declined good payment's amount that is lost with it (fee, margin)."""
    review_minor: int = 300
    """Cost of one review, in minor units."""
    review_catch_share: float = 0.9
    """Share of reviewed frauds that the reviewer stops."""

    def saved(self, counts: Counts, effect: str) -> float:
        """Return minor units saved, net of cost, by payments [2, 3] treated with one effect.

        Args:
            counts: payments and their value, by fraud, good, unlabelled.
            effect: "block", "review" or "pass"; passing saves nothing. Unlabelled payments cost
                their review, and nothing else is assumed of them.
        """
        (frauds, goods, unlabelled), (fraud_value, good_value, _) = counts.tolist()
        if effect == "block":
            lost = self.good_decline_minor * goods + self.good_decline_share * good_value
            return float(self.stopped_share * fraud_value - lost)
        if effect == "review":
            caught = self.review_catch_share * self.stopped_share * fraud_value
            return float(caught - self.review_minor * (frauds + goods + unlabelled))
        return 0.0


@dataclass(frozen=True, slots=True)
class RuleMeasures:
    """One rule over history, or the whole set. Shares are 0..1, NaN where nothing to divide by.

    Attributes:
        rule_id: the rule, or "whole set".
        status: active, shadow or off; "" for the whole set.
        action: what the rule decides; "" for the whole set.
        hits: payments hit, labelled or not.
        hits_per_day: over all UTC days that have payments.
        frauds: hits labelled fraud.
        good_hurt: hits labelled good, of actions other than the mildest.
        good_hurt_minor: their value, minor units.
        unlabelled: hits without a label; in no share.
        precision: frauds / labelled hits.
        precision_low: lower end of its 95% Wilson interval.
        precision_high: upper end.
        recall: share of all frauds hit.
        value_recall: share of all frauds' value hit.
        saved_minor: money saved net of cost, were the rule alone, minor units.
        decides: payments that this rule decides in the set as it stands.
        decides_saved_minor: money saved by those, minor units.
    """

    rule_id: str
    status: str
    action: str
    hits: int
    hits_per_day: float
    frauds: int
    good_hurt: int
    good_hurt_minor: int
    unlabelled: int
    precision: float
    precision_low: float
    precision_high: float
    recall: float
    value_recall: float
    saved_minor: float
    decides: int
    decides_saved_minor: float


def effect_of(action: str, actions: tuple[str, ...]) -> str:
    """Return "pass" for the mildest action, "block" for the hardest, "review" between."""
    if action == actions[0]:
        return "pass"
    return "block" if action == actions[-1] else "review"


def measure_rules(rules: RuleSet, tally: Tally, costs: Costs) -> tuple[RuleMeasures, ...]:
    """Return one measure per rule in order of priority, then the whole set.

    The whole set is what its active rules decide together; payments that it passes (mildest
    action) are not among its hits.
    """
    measured = []
    total = np.zeros((2, 3), np.int64)
    total_saved = 0.0
    for rule, hits, decided in zip(rules.rules, tally.hits, tally.decided, strict=True):
        effect = effect_of(rule.action, rules.actions)
        saved = costs.saved(decided, effect)
        if effect != "pass":
            total = total + decided
        total_saved += saved
        names = (rule.id, rule.status, rule.action)
        own = costs.saved(hits, effect)
        measured.append(_measured(names, effect != "pass", tally, hits, own, decided, saved))
    overall = _measured((WHOLE_SET, "", ""), True, tally, total, total_saved, total, total_saved)
    return (*measured, overall)


def _measured(
    names: tuple[str, str, str],
    hurts: bool,
    tally: Tally,
    hits: Counts,
    saved: float,
    decided: Counts,
    decided_saved: float,
) -> RuleMeasures:
    (frauds, goods, unlabelled), (fraud_value, good_value, _) = hits.tolist()
    labelled, count = frauds + goods, frauds + goods + unlabelled
    low = high = math.nan
    if labelled:
        low, high = binomtest(frauds, labelled).proportion_ci(method="wilson")
    return RuleMeasures(
        *names,
        hits=count,
        hits_per_day=_share(count, len(tally.daily)),
        frauds=frauds,
        good_hurt=goods if hurts else 0,
        good_hurt_minor=good_value if hurts else 0,
        unlabelled=unlabelled,
        precision=_share(frauds, labelled),
        precision_low=float(low),
        precision_high=float(high),
        recall=_share(frauds, int(tally.totals[0, 0])),
        value_recall=_share(fraud_value, int(tally.totals[1, 0])),
        saved_minor=saved,
        decides=int(decided[0].sum()),
        decides_saved_minor=decided_saved,
    )


def _share(part: float, total: float) -> float:
    return part / total if total else math.nan
