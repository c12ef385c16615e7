"""Notices of customers beside those that the service was told, for jobs on decisions."""

from dataclasses import dataclass

import pyarrow as pa

from jobs.framework.decision_source import DecisionOptions, DecisionSource
from jobs.framework.outcomes import EventFile, with_events
from jobs.framework.paths import InputPath
from lib.churn.contracts import CHURN
from lib.churn.outcomes import NOTICE


@dataclass(frozen=True, kw_only=True)
class NoticeOptions(DecisionOptions):
    """Notices of a file."""

    notices: InputPath | None = None
    """notices of customers beside those that the service was told: Parquet or CSV file, folder or
    URI in the contract churn"""
    mapping_notices: InputPath | None = None
    """YAML mapping file of --notices"""

    def check(self) -> None:
        """See `JobOptions`."""
        super().check()
        self._file.check()

    @property
    def _file(self) -> EventFile:
        return EventFile(CHURN, self.notices, self.mapping_notices)

    def known_labels(self, source: DecisionSource) -> pa.Table:
        """Notices and what interventions came to, as rows of `LABEL_SCHEMA`."""
        return with_events(super().known_labels(source), self._file, "customer_id", NOTICE)
