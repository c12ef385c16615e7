"""Drawn sequences of what several reviewers do, on SQLite and PostgreSQL, against a plain model.

After each step every item, verdict, outcome, label and entry of the audit is what the model has: so
no item has two holders or two decisions, and nothing happens that the audit does not keep.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.records.review import (
    ContradictedVerdictError,
    LeaseLostError,
    RepeatedOpinionError,
    ReviewItem,
    ReviewStore,
    UndoRefusedError,
)
from lib.records.review.transitions import SENIOR, UNDO_US
from lib.review.ranking import escalated
from lib.review.settings import ReviewSettings
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.review_factories import LEASE, close, item, look_twice

REVIEWERS = ("ann", "bob", "cleo")
RULES = ReviewSettings(salt="s")
LOOKED_AT_TWICE = {"i1", "i3"}
WHATS = (
    *("claimed", "expired", "renewed", "released", "decided", "closed", "undone", "withdrawn"),
    *("snoozed", "assigned", "escalated"),
)
_numbers = itertools.count()


@dataclass
class Case:
    """An item as it should be."""

    item: ReviewItem
    token: int = 0
    holder: str | None = None
    until: int | None = None
    assignee: str | None = None
    snoozed_until: int | None = None
    verdict: tuple[str, int, bool, int] | None = None
    """Reviewer, token, answer and time of the decision."""

    def is_held(self) -> bool:
        """Whether somebody holds it."""
        return self.verdict is None and self.holder is not None

    def is_leased(self, reviewer: str, token: int) -> bool:
        """Whether the reviewer may act with it under this token."""
        return self.verdict is None and (self.holder, self.token) == (reviewer, token)

    def give_back(self, **changes: Any) -> None:
        """Nobody holds it, and fields change."""
        self.holder = self.until = None
        vars(self).update(changes)


@dataclass
class Model:
    """All items, in the order in which they came, and the audit by subject."""

    cases: dict[str, Case] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    audit: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def log(self, case: Case, what: str, person: str) -> None:
        """Add an entry."""
        self.audit.setdefault(case.item.subject_id, []).append((what, person))

    def verdicts(self, subject_id: str) -> list[tuple[str, bool]]:
        """Reviewers and answers about a subject, in order of items."""
        of_subject = (c for c in self.cases.values() if c.item.subject_id == subject_id)
        return [(c.verdict[0], c.verdict[2]) for c in of_subject if c.verdict is not None]

    def outcome(self, subject_id: str) -> bool | None:
        """The answer that closed the case of a subject; None while it is open."""
        own = [c for c in self.cases.values() if c.item.subject_id == subject_id]
        last = own[-1]
        needs_more = last.item.id in LOOKED_AT_TWICE
        return None if last.verdict is None or needs_more else last.verdict[2]


class Reviewing:
    """Reviewers at work in the database at `url`, which is migrated."""

    def __init__(self, url: str) -> None:
        self.system = f"s{next(_numbers)}"
        self.store = ReviewStore(url, self.system)
        self.now, self.model = NOVEMBER, Model()
        self.prefix = f"{self.system}-"
        for number in range(4):
            name = self.stored(f"i{number}")
            opened = item(number, id=name, case_id=name, system=self.system)
            self.store.admit([opened], "routing")
            self.open(opened, "routing")

    def stored(self, name: str) -> str:
        """The id of an item in the database, which other examples share."""
        return f"{self.prefix}{name}"

    def open(self, opened: ReviewItem, actor: str) -> None:
        case = Case(opened)
        self.model.cases[opened.id] = case
        self.model.log(case, "opened", actor)

    def pick(self, act: Act, decided: bool = False) -> tuple[Case, str]:
        """An item and its reviewer: mostly one that this reviewer holds, or decided."""
        cases = list(self.model.cases.values())
        fits = [c for c in cases if (c.verdict is not None if decided else c.is_held())]
        fits = fits if act.number % 10 else []
        case = (fits or cases)[act.number % len(fits or cases)]
        actor = case.verdict[0] if case.verdict is not None else case.holder
        return case, act.reviewer or actor or "ann"

    def step(self, decided: ReviewItem, case: Any) -> Any:
        twice = decided.id.removeprefix(self.prefix) in LOOKED_AT_TWICE
        return (look_twice if twice else close)(decided, case)

    def attempt(self, allowed: bool, errors: type[Exception], act: Any) -> Any:
        """Do something, which is refused exactly where it is not allowed."""
        try:
            answer = act()
        except errors:
            assert not allowed
            return None
        assert allowed
        return answer

    def wait(self, act: Act) -> None:
        self.now += (1, 3, 12, 70)[act.choice % 4] * SECOND

    def claim(self, act: Act) -> None:
        name = act.reviewer or REVIEWERS[act.number % 3]
        most, skills = act.choice % 3 + 1, (None, (), (SENIOR,))[act.choice // 3 % 3]

        def may_have(case: Case) -> bool:
            known = {person for person, _ in self.model.verdicts(case.item.subject_id)}
            return (
                case.verdict is None
                and (case.until is None or case.until <= self.now)
                and (case.snoozed_until is None or case.snoozed_until <= self.now)
                and case.assignee in (None, name)
                and (skills is None or case.item.skill is None or case.item.skill in skills)
                and (case.item.kind == "review" or name not in known)
            )

        waiting = [case for case in self.model.cases.values() if may_have(case)]
        waiting.sort(key=lambda case: (case.item.rank_us, case.item.id))
        claims = self.store.claim(name, most, now=self.now, lease=LEASE, skills=skills)
        assert [lease.item_id for lease in claims] == [case.item.id for case in waiting[:most]]
        for case in waiting[:most]:
            if case.holder is not None:
                self.model.log(case, "expired", "queue")
            self.model.log(case, "claimed", name)
            case.holder, case.until, case.token = name, self.now + LEASE, case.token + 1

    def renew(self, act: Act) -> None:
        self.keep_or_return(act, is_renewal=True)

    def release(self, act: Act) -> None:
        self.keep_or_return(act, is_renewal=False)

    def keep_or_return(self, act: Act, *, is_renewal: bool) -> None:
        case, name = self.pick(act)
        token, item_id = case.token + act.off, case.item.id

        def move() -> bool:
            if is_renewal:
                self.store.renew(item_id, name, token, now=self.now, lease=LEASE)
            else:
                self.store.release(item_id, name, token, now=self.now)
            return True

        if self.attempt(case.is_leased(name, token), LeaseLostError, move):
            if is_renewal:
                case.until = self.now + LEASE
            else:
                case.give_back()
            self.model.log(case, "renewed" if is_renewal else "released", name)

    def decide(self, act: Act) -> None:
        case, name = self.pick(act)
        answer = act.choice % 2 == 0
        token, verdicts = case.token + act.off, {"hate": answer, "spam": False}
        if case.verdict is not None:
            allowed = case.verdict[:3] == (name, token, answer)
        else:
            known = [person for person, _ in self.model.verdicts(case.item.subject_id)]
            is_repeated = case.item.kind != "review" and name in known
            allowed = case.is_leased(name, token) and not is_repeated
        errors: Any = (LeaseLostError, RepeatedOpinionError, ContradictedVerdictError)
        decided = self.attempt(
            allowed,
            errors,
            lambda: self.store.decide(
                case.item.id, name, token, verdicts, now=self.now, next_step=self.step
            ),
        )
        if decided is None:
            return
        assert decided[1] == (case.verdict is None)
        if case.verdict is None:
            case.verdict = (name, token, answer, self.now)
            self.model.log(case, "decided", name)
            self.follow(case)

    def follow(self, case: Case) -> None:
        if case.item.id.removeprefix(self.prefix) in LOOKED_AT_TWICE:
            again = replace(
                case.item, id=f"{case.item.id}-again", kind="second_opinion", rule="sample"
            )
            self.open(again, "queue")
        else:
            self.model.log(case, "closed", "queue")

    def undo(self, act: Act) -> None:
        case, name = self.pick(act, decided=True)
        token, again = case.token + act.off, self.model.cases.get(f"{case.item.id}-again")
        if case.verdict is None:
            is_repeat = (case.holder, case.token) == (name, token + 1)
            allowed = is_repeat and case.until is not None
        else:
            followed = again is not None and (again.token > 0 or again.assignee is not None)
            is_recent = self.now - case.verdict[3] <= UNDO_US
            is_settled = case.item.subject_id in self.model.settled
            is_own = case.verdict[:2] == (name, token)
            allowed = is_own and is_recent and not followed and not is_settled
        errors: Any = (LeaseLostError, UndoRefusedError)
        lease = self.attempt(
            allowed,
            errors,
            lambda: self.store.undo(
                case.item.id, name, token, now=self.now, lease=LEASE, lease_now=self.now
            ),
        )
        if lease is None or case.verdict is None:
            return
        if again is not None:
            self.model.log(again, "withdrawn", "queue")
            del self.model.cases[again.item.id]
        case.verdict, case.token = None, case.token + 1
        case.holder, case.until = name, self.now + LEASE
        assert (lease.token, lease.until) == (case.token, case.until)
        self.model.log(case, "undone", name)

    def snooze(self, act: Act) -> None:
        case, name = self.pick(act)
        token, until = case.token + act.off, self.now + (5, 90)[act.choice % 2] * SECOND
        is_repeat = case.verdict is None and case.holder is None and act.off == 0
        is_repeat = is_repeat and case.snoozed_until == until
        done = self.attempt(
            is_repeat or case.is_leased(name, token),
            LeaseLostError,
            lambda: self.store.snooze(case.item.id, name, token, until, now=self.now) or True,
        )
        if done and not is_repeat:
            case.give_back(snoozed_until=until)
            self.model.log(case, "snoozed", name)

    def assign(self, act: Act) -> None:
        case, name = self.pick(act)
        token, assignee = case.token + act.off, (None, None, *REVIEWERS)[act.choice % 5]
        is_held = case.until is not None and case.until > self.now
        is_free = case.verdict is None and not is_held
        is_repeat = is_free and case.assignee == assignee
        known = {person for person, _ in self.model.verdicts(case.item.subject_id)}
        is_blind = case.item.kind != "review" and assignee in known
        errors: Any = (LeaseLostError, RepeatedOpinionError)
        done = self.attempt(
            is_repeat or ((is_free or case.is_leased(name, token)) and not is_blind),
            errors,
            lambda: (
                self.store.assign(case.item.id, name, assignee, token=token, now=self.now) or True
            ),
        )
        if done and not is_repeat:
            case.give_back(assignee=assignee)
            self.model.log(case, "assigned", name)

    def escalate(self, act: Act) -> None:
        case, name = self.pick(act)
        token = case.token + act.off
        is_repeat = case.verdict is None and case.holder is None and act.off == 0
        is_repeat = is_repeat and case.item.skill == SENIOR
        done = self.attempt(
            is_repeat or case.is_leased(name, token),
            LeaseLostError,
            lambda: self.store.escalate(
                case.item.id, name, token, lambda old, at: escalated(old, at, RULES), now=self.now
            ),
        )
        if done and not is_repeat:
            case.give_back(item=escalated(case.item, self.now, RULES), assignee=None)
            self.model.log(case, "escalated", name)
            assert done == case.item

    def settle(self, act: Act) -> None:
        self.store.settle_outcomes(self.now)
        for case in self.model.cases.values():
            subject = case.item.subject_id
            closed = self.model.outcome(subject) is not None and case.verdict is not None
            if closed and case.item.id.removeprefix(self.prefix) not in LOOKED_AT_TWICE:
                assert case.verdict is not None
                if case.verdict[3] < self.now - UNDO_US:
                    self.model.settled.add(subject)

    def check(self, subjects: Iterable[str]) -> None:
        """Compare the store with the model: items and the history of some subjects, all labels."""
        chosen = set(subjects)
        for item_id, case in self.model.cases.items():
            if case.item.subject_id not in chosen:
                continue
            entry = self.store.find_item(item_id)
            assert entry.item == case.item
            assert (entry.token, entry.assignee) == (case.token, case.assignee)
            assert entry.snoozed_until == case.snoozed_until
            assert (entry.decided_at is None) == (case.verdict is None)
            if case.verdict is None:
                assert (entry.leased_by, entry.leased_until) == (case.holder, case.until)
        for subject_id in sorted(chosen):
            history = self.store.list_history(subject_id)
            assert [(entry.what, entry.who) for entry in history] == self.model.audit[subject_id]
            verdicts = self.store.list_verdicts(subject_id)
            answers = {(verdict.reviewer, verdict.verdicts["hate"]) for verdict in verdicts}
            assert answers == set(self.model.verdicts(subject_id))
            assert len(verdicts) == len(self.model.verdicts(subject_id))
            outcome = self.model.outcome(subject_id)
            stored = [row.verdicts["hate"] for row in self.store.list_outcomes(subject_id)]
            assert stored == ([] if outcome is None else [outcome])
        labels = [(label.subject_id, label.policy) for label in self.store.iterate_labels()]
        closed = {
            subject for subject in self.model.audit if self.model.outcome(subject) is not None
        }
        assert sorted(labels) == sorted((s, policy) for s in closed for policy in ("hate", "spam"))


@dataclass(frozen=True)
class Act:
    """What somebody does.

    Attributes:
        name: of the method of `Reviewing`.
        number: which of the items that fit; every tenth is any item.
        reviewer: that does it; None is the holder of the item, or who decided it.
        off: what is added to the token that is right.
        choice: of further values.
    """

    name: str
    number: int
    reviewer: str | None
    off: int
    choice: int


COMMON = ("claim", "decide", "undo")
ACTS = st.builds(
    Act,
    st.sampled_from(
        (*COMMON, *COMMON, "wait", "renew", "release", "snooze", "assign", "escalate", "settle")
    ),
    st.integers(0, 99),
    st.sampled_from((*(None,) * 5, *REVIEWERS)),
    st.sampled_from((0,) * 8 + (1, -1)),
    st.integers(0, 11),
)


def test_reviewers_who_do_anything_in_any_order_leave_one_state_and_its_whole_history(reviews, url):
    done: Counter[str] = Counter()
    is_sqlite = url.startswith("sqlite")

    @settings(
        max_examples=20 if is_sqlite else 6,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(ACTS, min_size=40, max_size=60))
    def review(acts: list[Act]) -> None:
        reviewing = Reviewing(url)
        for act in acts:
            getattr(reviewing, act.name)(act)
            reviewing.check([f"p{act.number % 4}"])
        reviewing.check(reviewing.model.audit)
        done.update(what for log in reviewing.model.audit.values() for what, _ in log)
        reviewing.store.close()

    review()
    # each of them is done often enough to be tested
    assert min(done[what] for what in WHATS) >= 2 * is_sqlite, done
