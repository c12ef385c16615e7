"""What reviews came to: outcomes of cases until they take effect, and their labels."""

from collections.abc import Collection, Iterator

from sqlalchemy import and_, select, tuple_, update

from lib.records.review.models import Label, Outcome
from lib.records.review.statements import TURN_LOCK
from lib.records.review.statistics import ReviewStatistics
from lib.records.review.tables import LABELS, OUTCOMES
from lib.records.review.transitions import UNDO_US

_PAGE = 1000


class OutcomeStore(ReviewStatistics):
    """Outcomes of cases and the labels that follow from them.

    Args:
        url: as of `Repository`.
        system: whose cases these are.
    """

    def settle_outcomes(
        self, now: int, most: int = _PAGE, after: Outcome | None = None
    ) -> list[Outcome]:
        """Outcomes that wait to take effect, the oldest first; they cannot be undone from now on.

        Whoever reads them does what follows from them, as often as it takes, and then calls
        `mark_applied`.

        Args:
            now: microseconds since 1970 UTC; outcomes of the last ten seconds are left alone.
            most: at most so many.
            after: only those that come after this one, so that what fails holds up no other.
        """
        table = OUTCOMES.c
        waits = and_(table.system == self._system, table.applied_at.is_(None))
        is_old = and_(waits, table.settled_at.is_(None), table.at < now - UNDO_US)
        with self._database.reading() as connection:
            any_old = connection.execute(select(table.case_id).where(is_old).limit(1)).first()
        if any_old is not None:
            with self._database.writing() as connection:
                self._database.take_turn(connection, TURN_LOCK)
                connection.execute(update(OUTCOMES).where(is_old).values(settled_at=now))
        is_settled = and_(waits, table.settled_at.is_not(None))
        if after is not None:
            order = tuple_(table.at, table.case_id)
            is_settled = and_(is_settled, order > (after.at, after.case_id))
        return self._list(
            Outcome, OUTCOMES, is_settled, order=[table.at, table.case_id], limit=most
        )

    def mark_applied(self, case_ids: Collection[str], at: int) -> None:
        """Note that all that follows from some outcomes was done."""
        of_cases = and_(OUTCOMES.c.system == self._system, OUTCOMES.c.case_id.in_(sorted(case_ids)))
        with self._database.writing() as connection:
            connection.execute(update(OUTCOMES).where(of_cases).values(applied_at=at))

    def list_outcomes(self, subject_id: str) -> list[Outcome]:
        """The outcomes of a post's cases, the newest first."""
        order = [OUTCOMES.c.at.desc(), OUTCOMES.c.case_id]
        return self._list_about(subject_id, Outcome, OUTCOMES, order)

    def iterate_labels(self, since: int = 0) -> Iterator[Label]:
        """Labels with a number above `since`, each once, in order.

        Whoever keeps the last number and asks again with it misses none. Those of the last ten
        seconds may go again, with the decision that gave them; see `undo`.
        """
        while True:
            number = LABELS.c.number
            labels = self._list(
                Label, LABELS, LABELS.c.system == self._system, number > since,
                order=[number], limit=_PAGE,
            )  # fmt: skip
            yield from labels
            if len(labels) < _PAGE:
                return
            since = labels[-1].number
