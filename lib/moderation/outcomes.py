"""What posts came to: violating or not, by people's reviews, and what deciding so cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.business.outcomes import (
    NEVER,
    Flags,
    Floats,
    Ints,
    KnownLabels,
    WaitingOutcomes,
    column_values,
    decision_masks,
    microseconds,
    outcome_table,
    require_columns,
    ripe_money,
    score_array,
    standing_labels,
    with_ripe_money,
)
from lib.declaration import read_yaml_text
from lib.moderation.policies import ACTIONS, POLICIES_FILE, Policies, load_policies
from lib.moderation.routing import Routing
from lib.records.decision_table import LABEL_SCHEMA
from lib.records.json_codec import read_json
from lib.records.review.models import Label

PENDING = "PENDING"
_DECISIONS = (*ACTIONS, PENDING)
_ALLOW, _REVIEW, _REMOVE, _PENDING = range(len(_DECISIONS))
_DAY_US = 86_400_000_000
_MONEY = ("harm", "wrong_removal", "review", "waiting_share")


def packaged_policies() -> Policies:
    """The policies of the product."""
    return load_policies(read_yaml_text(POLICIES_FILE), str(POLICIES_FILE))


@dataclass(frozen=True)
class PostOutcomes(WaitingOutcomes, wait="silent_days"):
    """See `lib.business.outcomes.SystemOutcomes`.

    Money is that of `lib.moderation.routing`, below 0, with what people found in the place of
    probabilities: harm of a violation that was left up, growing with reach, a review and the harm
    while the post waits for it, an author wronged. A policy with thresholds has no prices, so its
    errors cost nothing here.

    Silence confirms: an allowed post that nobody had reviewed after `silent_days` was fine, a
    removed one against which nobody appealed violated. A post in review waits for its reviewer.

    Attributes:
        policies: prices.
        silent_days: days after which an allowed or removed post is not waited for any more.
    """

    policies: Policies = field(default_factory=packaged_policies)
    silent_days: float = 14.0

    system = "moderation"
    entity = "author_id"
    positive = "violates a policy"
    acting = ("REVIEW", "REMOVE")

    def outcomes(self, decisions: pa.Table, labels: pa.Table, as_of: int) -> pa.Table:
        """See `SystemOutcomes`; `reach`, `language` and what each decision costs follow.

        `harm` is that of leaving the post up, `wrong_removal` that of removing it if it is fine.
        """
        require_columns(decisions, ("subject_id", "request", "answer", "decision"), "decisions")
        posts = _Posts.of(decisions, self.policies)
        violates, known = self._reviewed(decisions["subject_id"], labels, as_of)
        masks = decision_masks(decisions["decision"], _DECISIONS)
        ripe = self._ripe(decisions, masks, known)
        silence = np.where(masks[_REMOVE], 1.0, 0.0)
        silent_removal = masks[_REMOVE] & np.isnan(known.value) & (ripe <= as_of)
        violates[silent_removal] |= posts.deciding[silent_removal]
        columns = {"reach": pa.array(posts.reach), "language": pa.array(posts.languages)}
        prices = self._prices(posts, violates)
        columns |= {name: pa.array(values) for name, values in prices.items()}
        table = outcome_table(decisions, known, ripe, as_of, silence, **columns)
        money = _cost(table, masks)
        return with_ripe_money(table, money, as_of)

    def money_of(self, outcomes: pa.Table, decisions: Sequence[str]) -> Floats:
        """See `SystemOutcomes`."""
        masks = decision_masks(decisions, _DECISIONS)
        return ripe_money(outcomes, _cost(outcomes, masks))

    def money_if(
        self,
        outcomes: pa.Table,
        scores: Any,
        thresholds: Mapping[str, float] | None = None,  # noqa: ARG002
    ) -> Floats:
        """See `SystemOutcomes`; routed by the policies, so thresholds of a model do not count.

        `scores` are (rows, policies), in the order of the policies.
        """
        values = score_array(scores, outcomes.num_rows, len(self.policies.ids))
        languages = outcomes["language"].to_pylist()
        routed = Routing(self.policies).route(
            values, column_values(outcomes, "reach"), languages=languages
        )
        return self.money_of(outcomes, [ACTIONS[code] for code in routed.actions.tolist()])

    def _reviewed(
        self, subjects: pa.ChunkedArray, labels: pa.Table, as_of: int
    ) -> tuple[Flags, KnownLabels]:
        """(n, policies) what people found broken, and of each post whether anything is."""
        verdicts, observed = verdicts_of(subjects, labels, self.policies.ids, as_of)
        violates = np.nan_to_num(verdicts) > 0.5
        value = np.where(observed >= 0, violates.any(axis=1), np.nan)
        return violates, KnownLabels(value, np.where(observed >= 0, observed, NEVER))

    def _ripe(self, decisions: pa.Table, masks: list[Flags], known: KnownLabels) -> Ints:
        """(n,) with the review of a post, else when silence confirms; never while it pends."""
        silent = microseconds(decisions["event_time"]) + round(self.silent_days * _DAY_US)
        waiting = np.where(masks[_REVIEW], NEVER, silent)
        ripe = np.minimum(waiting, known.observed_us)
        return np.where(masks[_PENDING], NEVER, ripe)

    def _prices(self, posts: "_Posts", violates: Flags) -> dict[str, Floats]:
        """(n,) what each decision costs, in the policies' unit."""
        doublings = 1.0 + np.log2(1.0 + posts.reach / self.policies.views_that_double)
        prices = {name: self._of_policies(name) for name in ("missed_violation", *_MONEY[1:])}
        deciding = np.where(posts.deciding.any(axis=1, keepdims=True), posts.deciding, True)
        return {
            "harm": (violates * prices["missed_violation"]).sum(axis=1) * doublings,
            **{name: (deciding * prices[name]).max(axis=1) for name in _MONEY[1:]},
        }

    def _of_policies(self, name: str) -> Floats:
        return np.array([getattr(policy.costs, name, 0.0) for policy in self.policies.policies])


def verdicts_of(
    subjects: pa.ChunkedArray, labels: pa.Table, policies: Sequence[str], as_of: int
) -> tuple[Floats, Ints]:
    """(n, policies) 1 or 0 as people found, NaN where they have not said; (n,) when, -1 never."""
    standing = standing_labels(labels, policies, as_of)
    rows = pc.fill_null(pc.index_in(standing["subject_id"], value_set=subjects), -1).to_numpy()
    columns = pc.index_in(standing["kind"], value_set=pa.array(policies)).to_numpy()
    is_ours = rows >= 0
    rows, columns = rows[is_ours], columns[is_ours]
    verdicts = np.full((len(subjects), len(policies)), np.nan)
    verdicts[rows, columns] = np.asarray(standing["value"].to_numpy(), np.float64)[is_ours]
    observed = np.full(len(subjects), -1, dtype=np.int64)
    np.maximum.at(observed, rows, microseconds(standing["observed_at"])[is_ours])
    return verdicts, observed


@dataclass(frozen=True)
class _Posts:
    """What requests and answers of posts (n,) say: reach, language, the policy that decided."""

    reach: Floats
    languages: list[str | None]
    deciding: Flags

    @classmethod
    def of(cls, decisions: pa.Table, policies: Policies) -> "_Posts":
        requests = [read_json(text or "{}") for text in decisions["request"].to_pylist()]
        answers = [read_json(text or "{}") for text in decisions["answer"].to_pylist()]
        named = np.array([str(answer.get("policy")) for answer in answers], dtype=np.str_)
        deciding = np.equal(named[:, None], np.array(policies.ids)[None, :])
        reach = np.array([float(request.get("reach") or 0.0) for request in requests])
        return cls(reach, [request.get("language") for request in requests], deciding)


def _cost(outcomes: pa.Table, masks: Sequence[Flags]) -> Floats:
    """(rows,) money of decisions; NaN where no label is known or the post pends."""
    label = column_values(outcomes, "label")
    harm, wrong, review, share = (column_values(outcomes, name) for name in _MONEY)
    cost = np.select(
        [masks[_ALLOW], masks[_REVIEW], masks[_REMOVE]],
        [label * harm, review + share * label * harm, (1.0 - label) * wrong],
        np.nan,
    )
    return np.where(np.isnan(label), np.nan, -cost)


def review_label_table(labels: Iterable[Label]) -> pa.Table:
    """Labels that reviews gave as rows of `LABEL_SCHEMA`, the policy as kind."""
    rows = [
        {
            "subject_id": label.subject_id,
            "kind": label.policy,
            "value": label.violates,
            "observed_at": label.at,
            "received_at": label.at,
            "source": label.rule,
        }
        for label in labels
    ]
    return pa.Table.from_pylist(rows, LABEL_SCHEMA)
