"""The simulated fleet: how many machines, how they wear, what service and failure cost."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from lib.maintenance.feature_set import AssetFeatureSet, FeatureError, Sensor

SENSORS = (
    Sensor("temperature", "degC", low=-20.0, high=160.0, stuck_hours=6.0),
    Sensor("vibration", "mm/s", low=0.0, high=60.0, stuck_hours=6.0),
    Sensor("pressure", "bar", low=0.0, high=20.0, stuck_hours=6.0),
    Sensor("rpm", "rpm", low=0.0, high=4000.0),
    Sensor("power", "kW", low=0.0, high=400.0, stuck_hours=6.0),
    Sensor("oil_level", "%", low=0.0, high=100.0),
    Sensor("noise", "dB", low=20.0, high=140.0, stuck_hours=6.0),
)


@dataclass(frozen=True)
class Component:
    """A part that wears out.

    Args:
        name: also the failure mode's.
        life_hours: mean life at full load.
        scatter: coefficient of variation of that life, by chance alone.
        shows_from: share of its life after which sensors begin to show it.
        repair_hours: how long a machine stands after its failure.
        repair_cost: labour and parts of that, in dollars.
        service_hours: how long a planned replacement takes.
        service_cost: of that, in dollars.
    """

    name: str
    life_hours: float
    scatter: float
    shows_from: float
    repair_hours: float
    repair_cost: float
    service_hours: int
    service_cost: float


COMPONENTS = (
    Component("bearing", 3900.0, 0.14, 0.55, 14.0, 2600.0, 4, 440.0),
    Component("seal", 4600.0, 0.18, 0.65, 9.0, 1500.0, 3, 320.0),
    Component("motor", 6200.0, 0.14, 0.70, 20.0, 4400.0, 6, 830.0),
)


@dataclass(frozen=True)
class FleetConfig:
    """A fleet. Everything is drawn from `seed` and the machine's number.

    Machine i is the same whether 10 or 500 machines stand beside it.
    """

    machines: int = 500
    """number of machines"""
    plants: int = 20
    """number of plants that the machines stand in, evenly"""
    seed: int = 1
    """seed of the random numbers"""
    start: datetime = datetime(2025, 1, 6, tzinfo=UTC)
    """hour 0, a Monday"""
    frailty: float = 0.12
    """spread (of the logarithm) of how fast machines wear"""
    oldest_start: float = 0.55
    """largest age of a component at hour 0, as a share of its mean life; 1 is a fleet that has long
    been run to failure, .55 one in the middle of its life under calendar service"""
    sudden_per_year: float = 0.06
    """failures of a machine that no wear and no sensor announces"""
    gap_share: float = 0.02
    """share of hours lost in gaps of telemetry"""
    stuck_per_year: float = 3.0
    """how often a sensor of a machine sticks"""
    spikes_per_year: float = 20.0
    """readings out of range"""
    components: tuple[Component, ...] = field(default=COMPONENTS)
    """components that wear"""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("machines", 1, 100_000),
            ("plants", 1, 10_000),
            ("frailty", 0.0, 2.0),
            ("oldest_start", 0.0, 1.0),
            ("sudden_per_year", 0.0, 52.0),
            ("gap_share", 0.0, 0.9),
            ("stuck_per_year", 0.0, 365.0),
            ("spikes_per_year", 0.0, 8760.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise FeatureError(f"fleet: {name}: expected {low} to {high}, got {value}")
        if self.start.tzinfo is None or not self.components:
            raise FeatureError("fleet: expected a start with a time zone, and components")

    @property
    def features(self) -> AssetFeatureSet:
        """The features of these machines."""
        names = tuple(component.name for component in self.components)
        return AssetFeatureSet(
            sensors=SENSORS,
            components=names,
            error_codes=tuple(f"E_{name}" for name in names),
            correlations=(("temperature", "vibration"),),
            operating=("rpm", 100.0),
        )
