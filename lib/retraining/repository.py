"""Retrainings in the records: what began, its steps, how it ended."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields, require_note
from lib.records.repository import Repository, find_locked_row
from lib.records.schema import ERASURES, INCIDENTS, RETRAININGS

Outcome = Literal["published", "not published", "failed"]
"""How a retraining ends; a failed one taught nothing, so its labels count as new again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retraining:
    """A training on what became known since. Times are microseconds since 1970 UTC.

    Attributes:
        id: of the retraining.
        system: the risk system.
        began_at: when it began; labels that were received later are left to the next one.
        ended_at: None while it runs, or where it was killed; the same command then continues it.
        decision: see `Outcome`; None while it runs.
        version: of the model that was trained; None before that.
        champion_version: with which it was compared; None where there was none.
        detail: `options` (digest of the options), `steps` (name, time and digests of each),
            `labels`, `comparison`, `reason` in words.
    """

    id: str
    system: str
    began_at: int
    ended_at: int | None = None
    decision: str | None = None
    version: str | None = None
    champion_version: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_fields(self, ("id", "system"), ("began_at",))

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the finished steps, in their order."""
        return tuple(str(step["name"]) for step in self.detail.get("steps", ()))

    def step(self, name: str) -> Mapping[str, Any]:
        """What was noted of a finished step; empty where it is not finished."""
        steps = self.detail.get("steps", ())
        return next((step for step in steps if step["name"] == name), {})


class UnknownRetrainingError(RecordsError):
    """There is no retraining of that id."""


class RetrainingRepository(Repository):
    """Retrainings of all systems, oldest steps first."""

    def working(self, system: str) -> AbstractContextManager[bool]:
        """Be the only retraining of a system at work; False where another one is.

        One that is killed gives its place back, so that whatever did not end was cut off.
        """
        name = f"retraining-{system}"
        return self._database.working(name, zlib.crc32(name.encode()))

    def insert(self, retraining: Retraining) -> bool:
        """Store one that begins; False where its id is stored already."""
        with self._database.writing() as connection:
            return bool(self._insert(connection, RETRAININGS, [retraining]))

    def list_of(self, system: str, limit: int = 100) -> list[Retraining]:
        """The newest retrainings of a system, newest first."""
        table = RETRAININGS.c
        order = [table.began_at.desc(), table.id]
        return self._list(Retraining, RETRAININGS, table.system == system, order=order, limit=limit)

    def unfinished(self, system: str, options: str) -> Retraining | None:
        """The newest one that did not end, of the same options, to be continued.

        Args:
            system: the risk system.
            options: digest of the options.
        """
        newest = self.list_of(system)
        open_ones = (each for each in newest if each.ended_at is None)
        return next((each for each in open_ones if each.detail.get("options") == options), None)

    def end_cut_off(self, system: str, at: int) -> None:
        """End those of a system that were cut off, since one of other options begins."""
        for each in self.list_of(system):
            if each.ended_at is None:
                self.end(each.id, "failed", "cut off; one of other options began instead", at)

    def learnt_labels(self, system: str) -> Mapping[str, Any]:
        """The labels of the last retraining that did not fail; empty before the first.

        Args:
            system: the risk system, which chooses the names of `marks` and what they mean.
        """
        for each in self.list_of(system):
            labels = each.detail.get("labels")
            if each.decision in ("published", "not published") and isinstance(labels, Mapping):
                return labels
        return {}

    def add_step(self, retraining_id: str, name: str, at: int, **digests: Json) -> Retraining:
        """Note a finished step; one of the same name is replaced.

        Raises:
            UnknownRetrainingError: there is none of that id.
        """

        def noted(present: Retraining) -> Retraining:
            before = present.detail.get("steps", ())
            kept = [step for step in before if step["name"] != name]
            steps = [*kept, {"name": name, "at": at, **digests}]
            return replace(present, detail={**present.detail, "steps": steps})

        return self._change(retraining_id, noted)

    def describe(self, retraining_id: str, **detail: Json) -> Retraining:
        """Add to the detail of one.

        Raises:
            UnknownRetrainingError: there is none of that id.
        """
        return self._change(
            retraining_id, lambda present: replace(present, detail={**present.detail, **detail})
        )

    def end(
        self,
        retraining_id: str,
        decision: Outcome,
        reason: str,
        at: int,
        version: str | None = None,
        champion_version: str | None = None,
    ) -> Retraining:
        """Note how it ended; one that ended before stays as it is.

        Args:
            retraining_id: which.
            decision: see `Outcome`.
            reason: in words.
            at: microseconds since 1970 UTC.
            version: of the model that was trained.
            champion_version: with which it was compared.

        Raises:
            UnknownRetrainingError: there is none of that id.
        """
        require_note("reason", reason)

        def ended(present: Retraining) -> Retraining:
            if present.ended_at is not None:
                return present
            return replace(
                present,
                ended_at=at,
                decision=decision,
                version=version,
                champion_version=champion_version,
                detail={**present.detail, "reason": reason},
            )

        return self._change(retraining_id, ended)

    def open_incidents(self, system: str) -> list[str]:
        """Ids of a system's incidents that are not closed, oldest first."""
        table = INCIDENTS.c
        query = select(table.id).where(table.system == system, table.closed_at.is_(None))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(table.opened_at, table.id)).scalars())

    def erased_since(self, system: str, at: int) -> bool:
        """Whether somebody was erased from a system from a time on, so that copies are stale."""
        table = ERASURES.c
        query = select(table.id).where(table.system == system, table.began_at >= at).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _change(self, retraining_id: str, change: Callable[[Retraining], Retraining]) -> Retraining:
        with self._database.writing() as connection:
            present = _find(connection, retraining_id)
            changed = change(present)
            if changed != present:
                row = asdict(changed)
                where = RETRAININGS.c.id == retraining_id
                connection.execute(update(RETRAININGS).where(where).values(**row))
        return changed


def _find(connection: Connection, retraining_id: str) -> Retraining:
    row = find_locked_row(connection, Retraining, RETRAININGS, RETRAININGS.c.id == retraining_id)
    if row is None:
        raise UnknownRetrainingError(f"there is no retraining {retraining_id!r}")
    return row
