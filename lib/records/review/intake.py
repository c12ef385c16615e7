"""What comes into the review queue: decisions that wait for it, items, and golden items."""

import secrets
from collections.abc import Collection, Sequence

from sqlalchemy import and_, delete, select

from lib.records.errors import RecordsError
from lib.records.review import claims
from lib.records.review.models import GoldenItem, ReviewItem
from lib.records.review.statistics import ReviewStatistics
from lib.records.review.tables import GOLDEN, SETTINGS, WAITING

_SALT, _SALT_BYTES = "salt", 32


class IntakeStore(ReviewStatistics):
    """What is to be reviewed, and the salt by which opinions and golden items are drawn.

    Args:
        url: as of `Repository`.
        system: whose items these are.
    """

    def ensure_salt(self) -> str:
        """The random salt of this database's queue, made once for all who use it."""
        query = select(SETTINGS.c.value).where(SETTINGS.c.name == _SALT)
        with self._database.reading() as connection:
            if (kept := connection.execute(query).scalar()) is not None:
                return str(kept)
        row = {"name": _SALT, "value": secrets.token_hex(_SALT_BYTES)}
        with self._database.writing() as connection:
            self._database.insert_new(connection, SETTINGS, [row])
        with self._database.reading() as connection:
            return str(connection.execute(query).scalar_one())

    def admit(self, items: Sequence[ReviewItem], actor: str, key_id: str | None = None) -> int:
        """Put items into the queue and return how many are new; one known by its id stays as it is.

        Args:
            items: of kind `review` or `appeal`.
            actor: what sent them here, for the audit.
            key_id: of the API key that did, likewise.
        """
        for item in items:
            if item.kind not in ("review", "appeal"):
                raise RecordsError(f"kind: expected review or appeal, got {item.kind!r}")
            if item.system != self._system:
                raise RecordsError(f"system: expected {self._system}, got {item.system!r}")
        # one order for everybody: two callers that overlap cannot wait for each other
        ordered = sorted(items, key=lambda item: item.id)
        with self._database.writing() as connection:
            return claims.open_items(self._database, connection, ordered, actor, key_id=key_id)

    def list_waiting(self, most: int, subjects: Collection[str] | None = None) -> list[str]:
        """Subjects of decisions that are to come into the queue, those that wait longest first.

        Args:
            most: at most so many.
            subjects: of these alone; None for all.
        """
        waiting = WAITING.c
        query = select(waiting.subject_id).where(waiting.system == self._system)
        if subjects is not None:
            query = query.where(waiting.subject_id.in_(sorted(subjects)))
        query = query.order_by(waiting.queued_at, waiting.subject_id).limit(most)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def remove_waiting(self, subjects: Collection[str]) -> None:
        """Note that decisions are in the queue, or never will be."""
        waiting = WAITING.c
        named = and_(waiting.system == self._system, waiting.subject_id.in_(sorted(subjects)))
        with self._database.writing() as connection:
            connection.execute(delete(WAITING).where(named))

    def insert_golden(self, posts: Sequence[GoldenItem]) -> int:
        """Store posts with known answers; returns how many are new."""
        ordered = sorted(posts, key=lambda post: post.id)
        with self._database.writing() as connection:
            return self._insert(connection, GOLDEN, ordered)
