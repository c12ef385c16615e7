"""What a maintenance application is started with."""

from pathlib import Path

from pydantic import Field

from serve.framework.settings import (
    JournalFolder,
    ModelFolder,
    PlanningSettings,
    RecordsUrl,
    StoreUrl,
    positive,
)


class MaintenanceSettings(PlanningSettings):
    """Arguments of the application, as a Serve config file gives them."""

    kind: Path | None = Field(
        None, description="YAML of the kind of machine; none: the simulated fleet's"
    )
    machine_store: StoreUrl = "sqlite:///data/maintenance/machines.sqlite"
    records: RecordsUrl = "sqlite:///data/maintenance/records.sqlite"
    journal: JournalFolder = Path("data/maintenance/journal")
    models: ModelFolder = Path("data/maintenance/models")

    readings_body_bytes: int = positive(
        8 * 1024 * 1024, "largest body of readings and of a schedule, bytes"
    )
    readings_deadline_ms: float = positive(60_000.0, "time for an answer to readings, milliseconds")
    register_unknown: bool = Field(
        True, description="whether readings of a machine that is not known yet make it known"
    )
