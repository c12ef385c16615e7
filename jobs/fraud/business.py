"""What fraud decisions came to in a period, as a page: `python -m jobs.fraud.business --help`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.framework.business import BusinessOptions, PagePart, SystemPage, write_business
from jobs.framework.command import run_job
from lib.business.period import Period
from lib.fraud.amounts import AmountScale
from lib.fraud.business import WORDING, fraud_measures, fraud_notes, fraud_segments
from lib.fraud.model.policy import Costs
from lib.fraud.outcomes import FraudOutcomes


@dataclass(frozen=True, kw_only=True)
class FraudBusinessConfig(BusinessOptions):
    """Write what fraud decisions came to: losses, good payments blocked, reviews, answer time.

    Reads decisions and labels of a period, and compares them with another period or with figures of
    the time before. OUTPUT/business.html is for people, OUTPUT/business.json for the next --before.
    """

    costs: Costs = field(default_factory=Costs)
    """prices, as the model was trained with"""
    label_days: float = FraudOutcomes.label_days
    """days after which a payment that nobody called fraud is good"""
    currency_digits: int = 2
    """decimal digits of the settlement currency, as the service is started with"""


class FraudPage(SystemPage):
    """See `SystemPage`."""

    wording, by_row = WORDING, True
    label_source = "labels of fraud"

    def __init__(self, outcomes: FraudOutcomes) -> None:
        self.outcomes = outcomes

    def segments(
        self, decisions: pa.Table, outcomes: pa.Table
    ) -> Mapping[str, Sequence[str | None]]:
        """See `SystemPage`."""
        return fraud_segments(decisions, outcomes, self.outcomes)

    def part(self, period: Period, _labels: pa.Table) -> PagePart:
        """See `SystemPage`."""
        return PagePart(fraud_measures(period, self.outcomes), fraud_notes(period, self.outcomes))


def main(config: FraudBusinessConfig) -> str:
    """Write the page; returns its address."""
    scale = AmountScale(config.currency_digits)
    return write_business(config, FraudPage(FraudOutcomes(config.costs, scale, config.label_days)))


if __name__ == "__main__":
    run_job(FraudBusinessConfig, main)
