"""The tables of the review queue."""

from typing import Any

from sqlalchemy import Column, Text, UniqueConstraint

from lib.records import columns
from lib.records.tables import table


def _system() -> Column[Any]:
    return Column("system", Text, nullable=False, server_default="moderation")


ITEMS = table(
    "review_items",
    _system(),
    *columns.texts("id", "case_id", "subject_id", "kind", "rule", "policy", "policy_version"),
    *columns.documents("policies", "shown"),
    *columns.small_integers("severity"),
    *columns.integers("reach", "created_at", "due_at", "rank_us", "token"),
    *columns.numbers("priority"),
    *columns.texts(
        "model_version", "language", "skill", "for_reviewer", "leased_by", nullable=True
    ),
    *columns.texts("claim_id", nullable=True),
    *columns.documents("known", nullable=True),
    *columns.integers("leased_until", "decided_at", nullable=True),
    *columns.texts("assignee", nullable=True),
    *columns.integers("snoozed_until", nullable=True),
    indexes={
        "by_rank": ("system", "decided_at", "rank_us", "id"),
        "by_time": ("system", "created_at"),
        "by_post": ("subject_id",),
        "by_claim": ("claim_id",),
    },
)
"""What people are to decide.

`rank_us` orders them, `token` counts the leases given out, `claim_id` names the last claim. Nobody
but `assignee` may claim an item that names one, and nobody before `snoozed_until`.
"""

VERDICTS = table(
    "review_verdicts",
    _system(),
    *columns.texts("item_id", "case_id", "subject_id", "kind", "reviewer", "policy_version"),
    *columns.integers("token", "decided_at"),
    *columns.documents("verdicts"),
    *columns.texts("note", "model_version", "key_id", nullable=True),
    key=("item_id",),
    indexes={
        "by_case": ("case_id",),
        "by_post": ("subject_id", "reviewer"),
        "by_time": ("decided_at",),
    },
)
"""One decision per item: the key holds that no item is decided twice."""

OUTCOMES = table(
    "review_outcomes",
    _system(),
    *columns.texts("case_id", "subject_id", "kind", "rule", "policy_version"),
    *columns.documents("verdicts"),
    *columns.integers("at"),
    *columns.texts("model_version", nullable=True),
    *columns.integers("settled_at", "applied_at", nullable=True),
    key=("case_id",),
    indexes={"by_post": ("subject_id", "at"), "by_effect": ("system", "applied_at", "at")},
)
"""The outcome of a case, after as many decisions as its rule requires.

From `settled_at` on no decision of the case can be undone; at `applied_at` all that follows from
the outcome was done.
"""

LABELS = table(
    "review_labels",
    columns.row_number("number"),
    _system(),
    *columns.texts("subject_id", "policy", "by", "rule", "policy_version", "case_id"),
    *columns.booleans("violates"),
    *columns.integers("at"),
    UniqueConstraint("case_id", "policy", name="review_labels_once"),
    key=("number",),
    indexes={"by_subject": ("system", "subject_id")},
)
"""Outcomes by policy, numbered in the order in which they were committed, to learn from."""

GOLDEN = table(
    "review_golden",
    _system(),
    *columns.texts("id", "subject_id", "policy_version"),
    *columns.documents("policies", "shown", "known"),
    *columns.small_integers("severity"),
    *columns.integers("reach"),
    *columns.texts("language", "skill", nullable=True),
)
"""Subjects whose right answers are known, to be mixed in among the others."""

REVIEWERS = table(
    "review_reviewers", *columns.texts("reviewer"), *columns.integers("slots"), key=("reviewer",)
)
"""How many items a reviewer was given: the number decides which of them are golden."""

SETTINGS = table("review_settings", *columns.texts("name", "value"), key=("name",))
"""What the queue made once for all who use this database: its salt."""

WAITING = table(
    "review_waiting",
    *columns.texts("system", "subject_id"),
    *columns.integers("queued_at"),
    key=("system", "subject_id"),
    indexes={"by_time": ("system", "queued_at", "subject_id")},
)
"""Decisions that people are to look at and that are not in the queue yet."""

STATEMENTS = table(
    "review_statements",
    *columns.texts("system", "statement_id", "subject_id", "reviewer"),
    *columns.documents("verdicts"),
    *columns.booleans("is_stated"),
    key=("system", "statement_id", "subject_id"),
    indexes={"by_subject": ("system", "subject_id")},
)
"""Subjects of a statement: those that it was stated of, and those that it left out."""

AUDIT = table(
    "review_audit",
    columns.row_number("number"),
    *columns.integers("at"),
    _system(),
    *columns.texts("who", "what", "item_id", "case_id", "subject_id", "policy_version"),
    *columns.texts("rule", "model_version", "key_id", nullable=True),
    *columns.documents("before", "after", nullable=True),
    key=("number",),
    indexes={"by_post": ("subject_id", "number"), "by_what": ("what", "at")},
)
"""Everything that happened to an item; the database itself refuses to change or delete a row."""
