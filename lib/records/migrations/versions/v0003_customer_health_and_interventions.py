"""Create the tables of customers' health, interventions and what became of them."""

from lib.records.migrations.statements import create_table, drop_tables
from lib.records.tables import booleans, documents, integers, numbers, texts

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create all five."""
    create_table(
        "customer_health",
        *texts("customer_id"),
        *integers("at", "created_at"),
        *numbers("chance", "score"),
        *texts("band"),
        *documents("components", "reasons"),
        *texts("model_version", nullable=True),
        key=("customer_id", "at"),
    )
    create_table(
        "health_overrides",
        *texts("id", "customer_id"),
        *numbers("score", nullable=True),
        *texts("author", "reason", "key_id"),
        *integers("created_at", "expires_at"),
        indexes={"by_customer": ("customer_id", "created_at")},
    )
    create_table(
        "intervention_plans",
        *texts("id"),
        *integers("planned_at", "created_at"),
        *documents("request", "summary"),
    )
    create_table(
        "interventions",
        *texts("id", "plan_id", "customer_id", "playbook"),
        *integers("planned_at"),
        *booleans("held_out"),
        *numbers("propensity", "chance", "expected_fall", "value", "cost", "hours"),
        indexes={
            "by_customer": ("customer_id", "planned_at"),
            "by_plan": ("plan_id",),
            "by_time": ("planned_at",),
        },
    )
    create_table(
        "intervention_outcomes",
        *texts("intervention_id", "kind"),
        *booleans("value"),
        *integers("observed_at", "received_at"),
        *texts("note", nullable=True),
        key=("intervention_id", "kind"),
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables(
        *("customer_health", "health_overrides", "intervention_plans", "interventions"),
        "intervention_outcomes",
    )
