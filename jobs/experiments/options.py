"""What the jobs of experiments share: which experiment, who asks, prices, decisions and labels."""

from __future__ import annotations

import dataclasses
import getpass
from dataclasses import dataclass, field
from typing import get_type_hints

import pyarrow as pa

from jobs.framework.decision_source import DecisionOptions, DecisionSource
from jobs.framework.options import declared_options
from jobs.framework.outcomes import EventFile, labels_of, outcomes_of, with_events
from jobs.framework.paths import InputPath, LocalInput
from jobs.framework.progress import JobOptions
from lib.business.outcomes import SystemOutcomes
from lib.contract import Contract
from lib.declaration import read_yaml, read_yaml_text
from lib.experiment.errors import ExperimentError
from lib.experiment.models import RunningExperiment, StoredExperiment
from lib.experiment.repository import ExperimentRepository
from lib.records.database import require_database
from lib.records.systems import System


@dataclass(frozen=True, kw_only=True)
class SystemOptions(JobOptions):
    """Which system, and where its records are."""

    system: System
    """the risk system"""
    records: str
    """database of experiments: sqlite:///path or postgresql+psycopg://..., or env:NAME or
    file:/path, the variable or file that holds it"""
    by: str = field(default_factory=getpass.getuser)
    """name of the person who decides, for the audit"""

    def check(self) -> None:
        """See `JobOptions`."""
        require_database(self.records)
        super().check()

    def repository(self) -> ExperimentRepository:
        """The experiments; close it."""
        return ExperimentRepository(self.records)


@dataclass(frozen=True, kw_only=True)
class PricedOptions(SystemOptions):
    """What decisions are worth, and in which currency."""

    prices: LocalInput | None = None
    """YAML file of what outcomes cost and when they are ripe, other than by default: fields of the
    class in lib/SYSTEM/outcomes.py, e.g. label_days and costs of fraud"""
    currency: str = "USD"
    """code of the currency of all amounts"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.outcomes()
        super().check()

    def outcomes(self) -> SystemOutcomes:
        """Outcomes of the system by these prices.

        Raises:
            ValueError: the file cannot be meant; names line and field.
        """
        usual = outcomes_of(self.system)
        if self.prices is None:
            return usual
        origin = f"--prices {self.prices}"
        text = read_yaml_text(self.prices, origin, ExperimentError)
        _require_plain(read_yaml(text, origin, ExperimentError), type(usual), origin)
        return declared_options(type(usual), text, origin)


def _require_plain(content: object, kind: type, origin: str) -> None:
    """Refuse what a file of its own declares, such as playbooks and policies."""
    for name, annotation in get_type_hints(kind).items():
        is_plain = annotation in _PLAIN or dataclasses.is_dataclass(annotation)
        if isinstance(content, dict) and name in content and not is_plain:
            raise ExperimentError(f"{origin}: {name}: expected numbers alone; it has no price here")


_PLAIN = (float, int, str, bool, float | None)


@dataclass(frozen=True, kw_only=True)
class EventOptions(JobOptions):
    """Events of a plant's or a billing system's own log, beside the labels of the records."""

    failures: InputPath | None = None
    """maintenance: failures beside those of closed work orders: Parquet or CSV file, folder or
    URI"""
    mapping_failures: InputPath | None = None
    """YAML mapping file of --failures"""
    notices: InputPath | None = None
    """churn: notices of customers beside those that the service was told, likewise"""
    mapping_notices: InputPath | None = None
    """YAML mapping file of --notices"""

    def require_events_of(self, system: str) -> None:
        """Refuse a file that is of another system, or that its mapping does not fit.

        Raises:
            ValueError: names the option.
        """
        for name, owner in _OWNERS.items():
            if getattr(self, name) is not None and owner != system:
                raise ExperimentError(f"--{name}: expected none for {system}; it is of {owner}")
            if owner == system:
                self._file(name, _EVENTS[owner]()[0]).check()

    def labels_with_events(self, labels: pa.Table, system: str) -> pa.Table:
        """Labels of a system and what its file adds to them."""
        for name, owner in _OWNERS.items():
            if owner == system:
                contract, entity, kind = _EVENTS[owner]()
                labels = with_events(labels, self._file(name, contract), entity, kind)
        return labels

    def _file(self, name: str, contract: Contract) -> EventFile:
        return EventFile(contract, getattr(self, name), getattr(self, f"mapping_{name}"))


def _failures() -> tuple[Contract, str, str]:
    from lib.maintenance.contracts import FAILURES
    from lib.maintenance.outcomes import FAILURE

    return FAILURES, "machine_id", FAILURE


def _notices() -> tuple[Contract, str, str]:
    from lib.churn.contracts import CHURN
    from lib.churn.outcomes import NOTICE

    return CHURN, "customer_id", NOTICE


_OWNERS = {"failures": "maintenance", "notices": "churn"}
_EVENTS = {"maintenance": _failures, "churn": _notices}
"""By system: the contract of its events, the entity's column, and the kind of label."""


def running_experiment(repository: ExperimentRepository, system: str) -> RunningExperiment:
    """The experiment of a system that runs.

    Raises:
        ExperimentError: none does; says which one ended last, and why.
    """
    running = repository.running(system)
    if running is not None:
        return running
    listed = repository.list_of_system(system)
    before = "none was ever started"
    if listed:
        last = listed[0]
        before = f"{last.id} ended before, by {last.ended_by}: {last.reason}"
    raise ExperimentError(f"system: no experiment of {system} runs; {before}")


def named_experiment(
    repository: ExperimentRepository, system: str, name: str | None
) -> StoredExperiment:
    """The experiment of that name; without one that which runs, else the one started last.

    Raises:
        ExperimentError: there is none.
    """
    if name is not None:
        return repository.find(f"{system}/{name}")
    listed = repository.list_of_system(system)
    if not listed:
        raise ExperimentError(f"system: no experiment of {system} was ever started")
    return repository.running(system) or listed[0]


def decisions_and_labels(
    source_options: DecisionOptions, events: EventOptions, system: str, now: int
) -> tuple[pa.Table, pa.Table, list[str]]:
    """Decisions of a window, what became known of them, and lines that count them."""
    source = DecisionSource(source_options, system, now)
    decisions = source.table()
    labels = events.labels_with_events(labels_of(source, source_options.records), system)
    return decisions, labels, source.lines()
