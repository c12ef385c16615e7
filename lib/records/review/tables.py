"""The tables of the review queue."""

from typing import Any

from sqlalchemy import Column, Text, UniqueConstraint

from lib.records.tables import (
    booleans,
    documents,
    integers,
    numbers,
    row_number,
    small_integers,
    table,
    texts,
)


def _system() -> Column[Any]:
    return Column("system", Text, nullable=False, server_default="moderation")


ITEMS = table(
    "review_items",
    _system(),
    *texts("id", "case_id", "subject_id", "kind", "rule", "policy", "policy_version"),
    *documents("policies", "shown"),
    *small_integers("severity"),
    *integers("reach", "created_at", "due_at", "rank_us", "token"),
    *numbers("priority"),
    *texts("model_version", "language", "skill", "for_reviewer", "leased_by", nullable=True),
    *texts("claim_id", nullable=True),
    *documents("known", nullable=True),
    *integers("leased_until", "decided_at", nullable=True),
    indexes={
        "by_rank": ("system", "decided_at", "rank_us", "id"),
        "by_post": ("subject_id",),
        "by_claim": ("claim_id",),
    },
)
"""What people are to decide.

`rank_us` orders them, `token` counts the leases given out, `claim_id` names the last claim.
"""

VERDICTS = table(
    "review_verdicts",
    _system(),
    *texts("item_id", "case_id", "subject_id", "kind", "reviewer", "policy_version"),
    *integers("token", "decided_at"),
    *documents("verdicts"),
    *texts("note", "model_version", "key_id", nullable=True),
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
    *texts("case_id", "subject_id", "kind", "rule", "policy_version"),
    *documents("verdicts"),
    *integers("at"),
    *texts("model_version", nullable=True),
    key=("case_id",),
    indexes={"by_post": ("subject_id", "at")},
)
"""The outcome of a case, after as many decisions as its rule requires."""

LABELS = table(
    "review_labels",
    row_number("number"),
    _system(),
    *texts("subject_id", "policy", "by", "rule", "policy_version", "case_id"),
    *booleans("violates"),
    *integers("at"),
    UniqueConstraint("case_id", "policy", name="review_labels_once"),
    key=("number",),
)
"""Outcomes by policy, numbered in the order in which they were committed, to learn from."""

GOLDEN = table(
    "review_golden",
    _system(),
    *texts("id", "subject_id", "policy_version"),
    *documents("policies", "shown", "known"),
    *small_integers("severity"),
    *integers("reach"),
    *texts("language", "skill", nullable=True),
)
"""Subjects whose right answers are known, to be mixed in among the others."""

REVIEWERS = table("review_reviewers", *texts("reviewer"), *integers("slots"), key=("reviewer",))
"""How many items a reviewer was given: the number decides which of them are golden."""

SETTINGS = table("review_settings", *texts("name", "value"), key=("name",))
"""What the queue made once for all who use this database: its salt."""

AUDIT = table(
    "review_audit",
    row_number("number"),
    *integers("at"),
    _system(),
    *texts("who", "what", "item_id", "case_id", "subject_id", "policy_version"),
    *texts("rule", "model_version", "key_id", nullable=True),
    *documents("before", "after", nullable=True),
    key=("number",),
    indexes={"by_post": ("subject_id", "number"), "by_what": ("what", "at")},
)
"""Everything that happened to an item; the database itself refuses to change or delete a row."""
