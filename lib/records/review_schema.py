"""The tables of the review queue. All times are microseconds since 1970 UTC, as 64-bit integers."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from lib.records.schema import METADATA

_JSON = JSON(none_as_null=True)
_ROW_ID = BigInteger().with_variant(Integer(), "sqlite")

ITEMS = Table(
    "review_items",
    METADATA,
    Column("id", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("post_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("policies", _JSON, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("reach", BigInteger, nullable=False),
    Column("priority", Double, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("rank_us", BigInteger, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("model_version", Text),
    Column("language", Text),
    Column("skill", Text),
    Column("shown", _JSON, nullable=False),
    Column("for_reviewer", Text),
    Column("known", _JSON),
    Column("token", BigInteger, nullable=False),
    Column("leased_by", Text),
    Column("leased_until", BigInteger),
    Column("decided_at", BigInteger),
    Column("claim_id", Text),
    PrimaryKeyConstraint("id", name="review_items_key"),
    Index("review_items_by_rank", "decided_at", "rank_us", "id"),
    Index("review_items_by_post", "post_id"),
    Index("review_items_by_claim", "claim_id"),
)
"""What people are to decide.

`rank_us` orders them, `token` counts the leases given out, `claim_id` names the last claim.
"""

VERDICTS = Table(
    "review_verdicts",
    METADATA,
    Column("item_id", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("post_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("verdicts", _JSON, nullable=False),
    Column("note", Text),
    Column("decided_at", BigInteger, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("model_version", Text),
    Column("key_id", Text),
    PrimaryKeyConstraint("item_id", name="review_verdicts_key"),
    Index("review_verdicts_by_case", "case_id"),
    Index("review_verdicts_by_post", "post_id", "reviewer"),
    Index("review_verdicts_by_time", "decided_at"),
)
"""One decision per item: the key holds that no item is decided twice."""

OUTCOMES = Table(
    "review_outcomes",
    METADATA,
    Column("case_id", Text, nullable=False),
    Column("post_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("verdicts", _JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("model_version", Text),
    PrimaryKeyConstraint("case_id", name="review_outcomes_key"),
    Index("review_outcomes_by_post", "post_id", "at"),
)
"""What a case came to, after as many decisions as its rule asked for."""

LABELS = Table(
    "review_labels",
    METADATA,
    Column("number", _ROW_ID, nullable=False),
    Column("post_id", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("violates", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    PrimaryKeyConstraint("number", name="review_labels_key"),
    UniqueConstraint("case_id", "policy", name="review_labels_once"),
)
"""Outcomes by policy, numbered in the order in which they were committed, to learn from."""

GOLDEN = Table(
    "review_golden",
    METADATA,
    Column("id", Text, nullable=False),
    Column("post_id", Text, nullable=False),
    Column("policies", _JSON, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("reach", BigInteger, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("language", Text),
    Column("skill", Text),
    Column("shown", _JSON, nullable=False),
    Column("known", _JSON, nullable=False),
    PrimaryKeyConstraint("id", name="review_golden_key"),
)
"""Posts whose right answers are known, to be mixed in among the others."""

REVIEWERS = Table(
    "review_reviewers",
    METADATA,
    Column("reviewer", Text, nullable=False),
    Column("slots", BigInteger, nullable=False),
    PrimaryKeyConstraint("reviewer", name="review_reviewers_key"),
)
"""How many items a reviewer was given: chance decides by this number which are golden."""

SETTINGS = Table(
    "review_settings",
    METADATA,
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("name", name="review_settings_key"),
)
"""What the queue has made for itself once, for all who use this database: its salt."""

AUDIT = Table(
    "review_audit",
    METADATA,
    Column("number", _ROW_ID, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("rule", Text),
    Column("item_id", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("post_id", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("model_version", Text),
    Column("before", _JSON),
    Column("after", _JSON),
    Column("key_id", Text),
    PrimaryKeyConstraint("number", name="review_audit_key"),
    Index("review_audit_by_post", "post_id", "number"),
    Index("review_audit_by_what", "what", "at"),
)
"""Everything that happened to an item; the database itself refuses to change or delete a row."""
