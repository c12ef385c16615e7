"""When one decision is not enough, and what several come to.

One reviewer decides. A second opinion is asked for by severity, or by chance over subjects. Where
the two differ about any policy a third reviewer adjudicates, and the majority counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lib.records.review import ItemKind, Outcome, ReviewItem, Step, Verdict
from lib.review.salt import opaque_id, share_of
from lib.review.settings import ReviewSettings

_CLOSED_BY = {"review": "single", "second_opinion": "agreed", "adjudication": "majority"}


def second_opinion_rule(subject_id: str, severity: int, settings: ReviewSettings) -> str | None:
    """The rule that asks for a second opinion: `severity`, `sample`, or None.

    The sample is drawn first, so that it stays a fair one: agreement measured on items of rule
    `sample` speaks for all subjects of any severity.
    """
    if share_of(settings.draw_salt, "second_opinion", subject_id) < settings.second_opinion_share:
        return "sample"
    return "severity" if severity >= settings.second_opinion_severity else None


def next_step(item: ReviewItem, case: Sequence[Verdict], settings: ReviewSettings) -> Step:
    """What follows the decision about `item`.

    Args:
        item: which was just decided.
        case: the decisions of its case, this one included, in order.
        settings: how often to look twice.
    """
    now, opinions = case[-1].decided_at, [dict(verdict.verdicts) for verdict in case]
    if item.kind == "golden":
        return Step()
    if item.kind == "appeal":
        kept = any(opinions[-1].values())
        return Step(outcome=_outcome(item, "upheld" if kept else "overturned", case))
    if item.kind == "review":
        rule = second_opinion_rule(item.subject_id, item.severity, settings)
        if rule is not None:
            return Step(opens=_again(item, "second_opinion", rule, now, settings))
    if item.kind == "second_opinion" and opinions[0] != opinions[1]:
        return Step(opens=_again(item, "adjudication", "disagreement", now, settings))
    return Step(outcome=_outcome(item, _CLOSED_BY[item.kind], case))


def majority(case: Sequence[Mapping[str, bool]]) -> dict[str, bool]:
    """What more than half of them say, policy by policy."""
    return {
        policy: 2 * sum(verdicts[policy] for verdicts in case) > len(case) for policy in case[0]
    }


def _outcome(item: ReviewItem, rule: str, case: Sequence[Verdict]) -> Outcome:
    return Outcome(
        case_id=item.case_id, system=item.system,
        subject_id=item.subject_id, kind=item.kind, rule=rule,
        verdicts=majority([verdict.verdicts for verdict in case]), at=case[-1].decided_at,
        policy_version=item.policy_version, model_version=item.model_version,
    )  # fmt: skip


def _again(
    item: ReviewItem, kind: ItemKind, rule: str, now: int, settings: ReviewSettings
) -> ReviewItem:
    """The same subject for another reviewer, with the due time and the rank that it had."""
    name = opaque_id(settings.draw_salt, item.case_id, kind)
    return replace(item, id=name, kind=kind, rule=rule, created_at=min(item.created_at, now))
