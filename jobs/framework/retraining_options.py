"""The options that every retraining has beside those of its system's training."""

from dataclasses import dataclass
from typing import ClassVar

from lib.contract import ContractError
from lib.retraining.margin import parse_margin

_FEWEST_ENTITIES = 2


@dataclass(frozen=True, kw_only=True)
class RetrainingOptions:
    """What is learnt from, and what a challenger must be worth; mixed into options of a training.

    It is no `TrainingOptions` itself: its defaults would take the place of the system's own.

    Attributes:
        computed: the training's option that names rows which were computed before; None of a
            system whose training computes its rows each time.
    """

    computed: ClassVar[str | None] = "features"

    records: str | None = None
    """database of the records: sqlite:///path, postgresql+psycopg://user@host/database, or env:NAME
    or file:/path that holds one; labels, outcomes and reviews are read from it, and each step of
    the retraining is kept there"""
    margin: str = "0"
    """gain in money that the lower limit of the challenger's 95% interval must beat: currency units
    a week such as 500, or a share of the champion's money such as 2%"""
    measure_margin: float = 0.01
    """by how much the system's measure may fall all the same"""
    least: int = 1
    """minimum number of new labels since the last retraining; with fewer the job ends without
    training, and 0 trains also where nothing is new"""
    least_entities: int = 20
    """minimum number of entities (customers, machines, authors) in the slice that neither model
    saw; with fewer the challenger is not published"""
    on_incident: bool = False
    """train only if monitoring has an open incident of this system"""
    pause_hours: float = 20.0
    """with --on-incident: minimum hours since the last retraining, so that an incident that stays
    open is answered once a day and not once a run"""

    def check_retraining(self) -> None:
        """Refuse options of a retraining that cannot work.

        Raises:
            ContractError: names the option.
            MarginError: the margin cannot be meant.
            ResourceError: a number of workers that means nothing.
        """
        _ = self.request  # of `TrainingOptions`
        for name in ("records", "registry"):
            if getattr(self, name) is None:
                raise ContractError(f"--{name} is missing: see --help for what retraining needs")
        if self.computed is not None and getattr(self, self.computed) is not None:
            raise ContractError(
                f"--{self.computed}: expected the tables that {self.computed} are computed from, "
                f"since what is known has changed, got {self.computed}"
            )
        parse_margin(self.margin)
        for name, least in (
            ("measure_margin", 0.0),
            ("least", 0),
            ("least_entities", _FEWEST_ENTITIES),
            ("pause_hours", 0.0),
        ):
            value = getattr(self, name)
            if not value >= least:
                option = f"--{name.replace('_', '-')}"
                raise ContractError(f"{option}: expected {least:g} or more, got {value}")
