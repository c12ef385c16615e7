"""What scores and interventions came to, as a page: `python -m jobs.churn.business --help`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.churn.notices import NoticeOptions
from jobs.framework.business import BusinessOptions, PagePart, SystemPage, write_business
from jobs.framework.command import run_job
from jobs.framework.paths import LocalInput
from lib.business.period import Period
from lib.business.spans import standing_events
from lib.churn.business import (
    WORDING,
    InterventionLog,
    churn_measures,
    churn_notes,
    churn_segments,
)
from lib.churn.features import churn_features
from lib.churn.intervention_repository import InterventionRepository
from lib.churn.interventions.daily import Economics
from lib.churn.interventions.playbooks import PLAYBOOKS_FILE, load_playbooks
from lib.churn.outcomes import LEFT, NOTICE, CustomerOutcomes
from lib.churn.target import Target
from lib.churn.vocabulary import CustomerVocabulary, parse_vocabulary
from lib.declaration import read_yaml_text


@dataclass(frozen=True, kw_only=True)
class ChurnBusinessConfig(BusinessOptions, NoticeOptions):
    """Write what scores and interventions came to: churn, revenue kept, lifetime value, hours.

    Revenue kept is measured against the customers who were held out. OUTPUT/business.html is for
    people, OUTPUT/business.json for the next --before.
    """

    economics: Economics = field(default_factory=Economics)
    """value of a retained customer"""
    target: Target = field(default_factory=Target)
    """what leaving means, as the model was trained with"""
    playbooks: LocalInput = PLAYBOOKS_FILE
    """YAML file of the playbooks; default: the playbooks of the product"""
    base: LocalInput | None = None
    """YAML file of segments and plans, as the service is started with; names the segments"""


class ChurnPage(SystemPage):
    """See `SystemPage`."""

    wording, by_row = WORDING, False
    label_source = "notices"

    def __init__(self, config: ChurnBusinessConfig) -> None:
        self._base = (
            CustomerVocabulary()
            if config.base is None
            else parse_vocabulary(config.base.read_text(encoding="utf-8"), str(config.base))
        )
        names = churn_features(self._base).names
        playbooks = load_playbooks(read_yaml_text(config.playbooks), names, str(config.playbooks))
        self.outcomes = CustomerOutcomes(config.economics, playbooks.playbooks, config.target)
        self._config = config

    def segments(
        self, decisions: pa.Table, _outcomes: pa.Table
    ) -> Mapping[str, Sequence[str | None]]:
        """See `SystemPage`."""
        return churn_segments(decisions, self._base)

    def part(self, period: Period, labels: pa.Table) -> PagePart:
        """See `SystemPage`."""
        notices = standing_events(labels, (NOTICE, LEFT), period.as_of)
        interventions = []
        if self._config.records is not None:
            with InterventionRepository(self._config.records) as repository:
                planned = repository.list_since(period.since)
            interventions = [row for row in planned if row.planned_at < period.until]
        log = InterventionLog.of(interventions, notices, self.outcomes, period.as_of)
        return PagePart(churn_measures(period, self.outcomes, log), churn_notes(self.outcomes, log))


def main(config: ChurnBusinessConfig) -> str:
    """Write the page; returns its address."""
    return write_business(config, ChurnPage(config))


if __name__ == "__main__":
    run_job(ChurnBusinessConfig, main)
