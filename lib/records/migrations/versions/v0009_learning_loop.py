"""Add experiments with their decisions, what monitoring measures, incidents and retrainings."""

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    _create_experiments()
    create_table(
        "monitored_windows",
        *columns.texts("system", "model_version"),
        *columns.integers("since", "until", "created_at"),
        *columns.documents("summary"),
        key=("system", "model_version", "since", "until"),
    )
    create_table(
        "incidents",
        *columns.texts("id", "system", "kind", "measure"),
        *columns.integers("since", "opened_at", "seen_at"),
        *columns.integers("closed_at", nullable=True),
        *columns.documents("detail"),
        indexes={"by_system": ("system", "closed_at")},
    )
    create_table(
        "retrainings",
        *columns.texts("id", "system"),
        *columns.texts("decision", "version", "champion_version", nullable=True),
        *columns.integers("began_at"),
        *columns.integers("ended_at", nullable=True),
        *columns.documents("detail"),
        indexes={"by_system": ("system", "began_at")},
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables(
        *("experiment_decisions", "experiment_changes", "experiments"),
        *("monitored_windows", "incidents", "retrainings"),
    )


def _create_experiments() -> None:
    create_table(
        "experiments",
        *columns.texts("id", "system", "key"),
        *columns.documents("declaration"),
        *columns.numbers("share"),
        *columns.integers("started_at"),
        *columns.integers("ended_at", nullable=True),
        *columns.texts("ended_by", "reason", nullable=True),
        indexes={"by_system": ("system", "ended_at")},
    )
    create_table(
        "experiment_changes",
        columns.row_number("id"),
        *columns.texts("experiment_id", "action", "by"),
        *columns.integers("at"),
        *columns.documents("detail"),
        indexes={"by_experiment": ("experiment_id", "id")},
    )
    create_table(
        "experiment_decisions",
        *columns.texts("system", "subject_id", "experiment_id", "entity_id", "arm"),
        *columns.integers("event_time", "decided_at"),
        *columns.texts("champion_version", "champion_decision", nullable=True),
        *columns.numbers("champion_score", nullable=True),
        *columns.texts("challenger_version", "challenger_decision", "fault", nullable=True),
        *columns.numbers("challenger_score", "challenger_ms", nullable=True),
        key=("system", "subject_id", "experiment_id"),
        indexes={"by_time": ("experiment_id", "decided_at")},
    )
