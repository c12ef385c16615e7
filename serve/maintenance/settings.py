"""What a maintenance application is started with."""

from pathlib import Path

from pydantic import Field

from serve.framework.settings import PlanningSettings


class MaintenanceSettings(PlanningSettings):
    """Arguments of the application, as a Serve config file gives them."""

    kind: Path | None = Field(
        None, description="YAML of the kind of machine; none: the simulated fleet's"
    )
    machine_store: str = Field(
        "sqlite:///data/maintenance/machines.sqlite",
        description="sqlite:///path or redis://host:port/0",
    )
    records: str = Field(
        "sqlite:///data/maintenance/records.sqlite",
        description="database of predictions, schedules and work orders",
    )
    journal: Path = Field(
        Path("data/maintenance/journal"),
        description="local directory for predictions not yet stored",
    )
    models: Path = Field(Path("data/maintenance/models"), description="local copies of models")

    readings_body_bytes: int = Field(
        8 * 1024 * 1024, gt=0, description="largest body of readings and of a schedule, bytes"
    )
    readings_deadline_ms: float = Field(
        60_000.0, gt=0, description="time for an answer to readings, milliseconds"
    )
    register_unknown: bool = Field(
        True, description="whether readings of a machine that is not known yet make it known"
    )
