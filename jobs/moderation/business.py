"""What decisions about posts came to, as a page: `python -m jobs.moderation.business --help`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from jobs.framework.business import BusinessOptions, PagePart, SystemPage, write_business
from jobs.framework.command import run_job
from jobs.framework.paths import LocalInput
from lib.business.period import Period
from lib.declaration import read_yaml_text
from lib.moderation.business import (
    WORDING,
    moderation_measures,
    moderation_notes,
    moderation_segments,
)
from lib.moderation.outcomes import PostOutcomes
from lib.moderation.policies import POLICIES_FILE, load_policies
from lib.records.review import ReviewStore


@dataclass(frozen=True, kw_only=True)
class ModerationBusinessConfig(BusinessOptions):
    """Write what decisions about posts came to: time, accuracy, workload, agreement.

    Labels are the outcomes of reviews and appeals. OUTPUT/business.html is for people,
    OUTPUT/business.json for the next --before.
    """

    policies: LocalInput = POLICIES_FILE
    """YAML file of the policies, for their prices; default: the policies of the product"""
    silent_days: float = PostOutcomes.silent_days
    """days after which a decision without review or appeal counts as right"""

    def check(self) -> None:
        """See `JobOptions`."""
        super().check()
        load_policies(read_yaml_text(self.policies), str(self.policies))


class ModerationPage(SystemPage):
    """See `SystemPage`."""

    wording, by_row = WORDING, True
    label_source = "reviews and appeals"

    def __init__(self, config: ModerationBusinessConfig) -> None:
        policies = load_policies(read_yaml_text(config.policies), str(config.policies))
        self.outcomes = PostOutcomes(policies, config.silent_days)
        self._records = config.records

    def segments(
        self, decisions: pa.Table, _outcomes: pa.Table
    ) -> Mapping[str, Sequence[str | None]]:
        """See `SystemPage`."""
        return moderation_segments(decisions)

    def part(self, period: Period, _labels: pa.Table) -> PagePart:
        """See `SystemPage`."""
        verdicts, pairs = None, []
        if self._records is not None:
            with ReviewStore(self._records) as reviews:
                verdicts = reviews.count_verdicts(period.since, min(period.until, period.as_of))
                pairs = reviews.list_opinion_pairs(period.since, period.until)
        return PagePart(
            moderation_measures(period, verdicts, pairs), moderation_notes(period, self.outcomes)
        )


def main(config: ModerationBusinessConfig) -> str:
    """Write the page; returns its address."""
    return write_business(config, ModerationPage(config))


if __name__ == "__main__":
    run_job(ModerationBusinessConfig, main)
