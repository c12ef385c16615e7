"""Create the tables of customers' health, interventions and what became of them."""

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create all five."""
    create_table(
        "customer_health",
        *columns.texts("customer_id"),
        *columns.integers("at", "created_at"),
        *columns.numbers("chance", "score"),
        *columns.texts("band"),
        *columns.documents("components", "reasons"),
        *columns.texts("model_version", nullable=True),
        key=("customer_id", "at"),
    )
    create_table(
        "health_overrides",
        *columns.texts("id", "customer_id"),
        *columns.numbers("score", nullable=True),
        *columns.texts("author", "reason", "key_id"),
        *columns.integers("created_at", "expires_at"),
        indexes={"by_customer": ("customer_id", "created_at")},
    )
    create_table(
        "intervention_plans",
        *columns.texts("id"),
        *columns.integers("planned_at", "created_at"),
        *columns.documents("request", "summary"),
    )
    create_table(
        "interventions",
        *columns.texts("id", "plan_id", "customer_id", "playbook"),
        *columns.integers("planned_at"),
        *columns.booleans("held_out"),
        *columns.numbers("propensity", "chance", "expected_fall", "value", "cost", "hours"),
        indexes={
            "by_customer": ("customer_id", "planned_at"),
            "by_plan": ("plan_id",),
            "by_time": ("planned_at",),
        },
    )
    create_table(
        "intervention_outcomes",
        *columns.texts("intervention_id", "kind"),
        *columns.booleans("value"),
        *columns.integers("observed_at", "received_at"),
        *columns.texts("note", nullable=True),
        key=("intervention_id", "kind"),
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables(
        *("customer_health", "health_overrides", "intervention_plans", "interventions"),
        "intervention_outcomes",
    )
