"""Experiments in the records: who may start, change and end one, and what both models said."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from lib.experiment.assignment import KEY_BYTES
from lib.experiment.declaration import Experiment, share_fault
from lib.experiment.errors import ExperimentEndedError, ExperimentError
from lib.experiment.models import (
    Action,
    ExperimentChange,
    ExperimentDecision,
    RecordedDecision,
    RunningExperiment,
    StoredExperiment,
)
from lib.records.models import Json, require_note, require_text, require_time
from lib.records.repository import Repository
from lib.records.schema import EXPERIMENT_CHANGES, EXPERIMENT_DECISIONS, EXPERIMENTS
from lib.registry.names import to_iso

Row = TypeVar("Row", ExperimentDecision, RecordedDecision)
_TURN = 0x45787065  # "Expe": the lock of those who start, change or end an experiment
_ROWS_PER_PAGE = 10_000
_DECISION_ORDER = ("system", "subject_id", "experiment_id")


class ExperimentRepository(Repository):
    """Experiments of every system, on SQLite or PostgreSQL; at most one a system runs."""

    def start(self, experiment: Experiment, *, by: str, at: int) -> RunningExperiment:
        """Start an experiment between two versions, with a secret key of its own.

        Args:
            experiment: whose champion and challenger are versions; see `with_versions`.
            by: who starts it.
            at: microseconds since 1970 UTC.

        Raises:
            ExperimentError: another one of the system runs, one of this name was run before, its
                end has passed, or a model is named by its alias.
        """
        _require_actor(by, at)
        experiment.require_future(at)
        experiment.with_versions({})
        stored = StoredExperiment(
            id=f"{experiment.system}/{experiment.name}",
            declaration=experiment,
            key=secrets.token_bytes(KEY_BYTES),
            share=experiment.share,
            started_at=at,
        )
        with self._database.writing() as connection:
            self._database.take_turn(connection, _TURN)
            _require_free(connection, stored)
            connection.execute(insert(EXPERIMENTS).values(_row_of(stored)))
            detail = {"declaration": experiment.model_dump(mode="json")}
            _add_change(connection, stored.id, "started", by, at, detail)
        return stored

    def raise_share(
        self, experiment_id: str, share: float, *, by: str, at: int
    ) -> StoredExperiment:
        """Let the challenger have more of the entities; the same share again changes nothing.

        A share is never lowered: entities that the challenger decided for would move back, and
        their outcomes belong to neither arm.

        Raises:
            ExperimentError: there is no such experiment, it ended before, or the share is lower or
                none of its mode.
        """
        _require_actor(by, at)
        with self._database.writing() as connection:
            self._database.take_turn(connection, _TURN)
            stored = _require_running(_require_stored(connection, experiment_id))
            _require_larger(stored, share)
            if share == stored.share:
                return stored
            _update(connection, experiment_id, share=share)
            detail = {"before": stored.share, "after": share}
            _add_change(connection, experiment_id, "share raised", by, at, detail)
        return replace(stored, share=share)

    def end(self, experiment_id: str, *, by: str, reason: str, at: int) -> StoredExperiment:
        """End an experiment: from then on the champion decides for everybody.

        Raises:
            ExperimentEndedError: it ended before; the first end and its reason stand.
            ExperimentError: there is no such experiment.
        """
        _require_actor(by, at)
        require_note("reason", reason)
        with self._database.writing() as connection:
            self._database.take_turn(connection, _TURN)
            stored = _require_running(_require_stored(connection, experiment_id))
            _update(connection, experiment_id, ended_at=at, ended_by=by, reason=reason)
            _add_change(connection, experiment_id, "ended", by, at, {"reason": reason})
        return replace(stored, ended_at=at, ended_by=by, reason=reason)

    def record_judgement(
        self, experiment_id: str, detail: Mapping[str, Json], *, by: str, at: int
    ) -> None:
        """Add a look at the outcomes to the audit; an ended experiment may be judged, too.

        Raises:
            ExperimentError: there is no such experiment.
        """
        _require_actor(by, at)
        with self._database.writing() as connection:
            _require_stored(connection, experiment_id)
            _add_change(connection, experiment_id, "judged", by, at, detail)

    def running(self, system: str) -> RunningExperiment | None:
        """The experiment of a system that has not ended; its `until` may have passed."""
        table = EXPERIMENTS.c
        with self._database.reading() as connection:
            return _find(connection, table.system == system, table.ended_at.is_(None))

    def find(self, experiment_id: str) -> StoredExperiment:
        """An experiment, running or ended.

        Raises:
            ExperimentError: there is no such experiment.
        """
        with self._database.reading() as connection:
            return _require_stored(connection, experiment_id)

    def list_of_system(self, system: str) -> list[StoredExperiment]:
        """Every experiment of a system, the newest first."""
        table = EXPERIMENTS.c
        query = select(EXPERIMENTS).where(table.system == system)
        query = query.order_by(table.started_at.desc(), table.id)
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(query).mappings()]

    def changes(self, experiment_id: str) -> list[ExperimentChange]:
        """What happened to an experiment, in its order."""
        table = EXPERIMENT_CHANGES.c
        return self._list(
            ExperimentChange, EXPERIMENT_CHANGES, table.experiment_id == experiment_id,
            order=[table.id],
        )  # fmt: skip

    def insert_decisions(self, rows: Iterable[ExperimentDecision]) -> int:
        """Store what both models said; of two rows of a subject the first stays.

        Returns:
            How many were new.
        """
        # a fixed order: two callers that overlap cannot wait for each other
        ordered = sorted(rows, key=lambda row: [getattr(row, name) for name in _DECISION_ORDER])
        with self._database.writing() as connection:
            return self._insert(connection, EXPERIMENT_DECISIONS, ordered)

    def decisions(
        self, experiment_id: str, since: int = 0, until: int = 2**62
    ) -> Iterator[ExperimentDecision]:
        """What both models said, by decided_at and subject_id; reads in pages.

        No transaction is open between two pages: whoever reads may take its time.

        Args:
            experiment_id: of the experiment.
            since: from this `decided_at` on, microseconds since 1970 UTC.
            until: before this `decided_at`.
        """
        return self._pages(ExperimentDecision, experiment_id, since, until)

    def recorded(self, experiment_id: str, until: int) -> Iterator[RecordedDecision]:
        """What a judgement needs of `decisions` before a `decided_at`."""
        return self._pages(RecordedDecision, experiment_id, 0, until)

    def _pages(self, model: type[Row], experiment_id: str, since: int, until: int) -> Iterator[Row]:
        table = EXPERIMENT_DECISIONS.c
        within = and_(
            table.experiment_id == experiment_id,
            table.decided_at >= since,
            table.decided_at < until,
        )
        after: ColumnElement[bool] = within
        while page := self._list(
            model, EXPERIMENT_DECISIONS, after,
            order=[table.decided_at, table.subject_id], limit=_ROWS_PER_PAGE,
        ):  # fmt: skip
            yield from page
            last = page[-1]
            later = and_(table.decided_at == last.decided_at, table.subject_id > last.subject_id)
            after = and_(within, or_(table.decided_at > last.decided_at, later))


def _row_of(stored: StoredExperiment) -> dict[str, Any]:
    declaration = stored.declaration
    return {
        "id": stored.id,
        "system": declaration.system,
        "key": stored.key.hex(),
        "declaration": declaration.model_dump(mode="json"),
        "share": stored.share,
        "started_at": stored.started_at,
    }


def _stored(row: Mapping[Any, Any]) -> StoredExperiment:
    try:
        declaration = Experiment.model_validate(row["declaration"])
    except ValidationError as error:
        raise ExperimentError(f"experiment {row['id']}: {error}") from error
    return StoredExperiment(
        id=row["id"],
        declaration=declaration,
        key=bytes.fromhex(row["key"]),
        share=row["share"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        ended_by=row["ended_by"],
        reason=row["reason"],
    )


def _find(connection: Connection, *conditions: ColumnElement[bool]) -> StoredExperiment | None:
    row = connection.execute(select(EXPERIMENTS).where(*conditions)).mappings().first()
    return None if row is None else _stored(row)


def _require_stored(connection: Connection, experiment_id: str) -> StoredExperiment:
    stored = _find(connection, EXPERIMENTS.c.id == experiment_id)
    if stored is not None:
        return stored
    system = experiment_id.partition("/")[0]
    query = select(EXPERIMENTS.c.id).where(EXPERIMENTS.c.system == system)
    known = ", ".join(sorted(connection.execute(query).scalars())) or f"none of {system}"
    raise ExperimentError(f"experiment: there is no {experiment_id!r}; there is {known}")


def _require_running(stored: StoredExperiment) -> StoredExperiment:
    if stored.ended_at is not None:
        raise ExperimentEndedError(
            f"experiment {stored.id}: ended before, at {to_iso(stored.ended_at)} by "
            f"{stored.ended_by}: {stored.reason}"
        )
    return stored


def _require_free(connection: Connection, stored: StoredExperiment) -> None:
    if _find(connection, EXPERIMENTS.c.id == stored.id) is not None:
        raise ExperimentError(
            f"name: an experiment {stored.id} was started before; another name draws other arms"
        )
    table, system = EXPERIMENTS.c, stored.declaration.system
    other = _find(connection, table.system == system, table.ended_at.is_(None))
    if other is not None:
        raise ExperimentError(
            f"system: the experiment {other.id} of {system} runs since "
            f"{to_iso(other.started_at)}; stop it first, as one runs at a time"
        )


def _require_larger(stored: StoredExperiment, share: float) -> None:
    if (fault := share_fault(stored.declaration.mode, share)) is not None:
        raise ExperimentError(fault)
    if share < stored.share:
        raise ExperimentError(
            f"share: expected at least the present {stored.share}, got {share}; a share is never "
            "lowered, as entities would move back: stop the experiment and start another"
        )


def _require_actor(by: str, at: int) -> None:
    require_text("by", by)
    require_time("at", at)


def _update(connection: Connection, experiment_id: str, **values: Any) -> None:
    connection.execute(update(EXPERIMENTS).where(EXPERIMENTS.c.id == experiment_id).values(values))


def _add_change(
    connection: Connection,
    experiment_id: str,
    action: Action,
    by: str,
    at: int,
    detail: Mapping[str, Json],
) -> None:
    change = ExperimentChange(
        experiment_id=experiment_id, action=action, by=by, at=at, detail=detail
    )
    connection.execute(insert(EXPERIMENT_CHANGES).values(asdict(change)))
