"""What differs between systems that are monitored."""

from dataclasses import dataclass

from lib.business.outcomes import SystemOutcomes
from lib.monitoring.measures import Measure
from lib.monitoring.system_figures import SystemFigures


@dataclass(frozen=True)
class WatchedSystem:
    """What differs between systems.

    Attributes:
        outcomes: labels and money.
        measures: of performance.
        segments: paths into requests (`value_at`) among which causes are looked for; none may name
            people.
        entity_is_segment: whether entities are such, e.g. machines.
        money_by_label: whether the money of a decision follows from its label alone.
        figures: of performance that this system alone has.
    """

    outcomes: SystemOutcomes
    measures: tuple[Measure, ...]
    segments: tuple[str, ...] = ()
    entity_is_segment: bool = False
    money_by_label: bool = False
    figures: SystemFigures | None = None
