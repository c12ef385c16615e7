"""Rows of the records that concern one person or thing."""

import hashlib
import hmac
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from lib.records.archive_files import ArchiveFile, read_columns
from lib.records.database import Database
from lib.records.decision_store import files, subjects_in_parts
from lib.records.errors import RecordsError
from lib.records.models import require_text
from lib.records.schema import DECISION_IDS, DECISIONS
from lib.records.systems import SYSTEMS, recorded_system, usual_entity


@dataclass(frozen=True, slots=True)
class Entity:
    """A person or thing that decisions concern.

    Raises:
        RecordsError: there is no such system, it has no such kind, or the id is none.
    """

    system: str
    kind: str
    id: str

    def __post_init__(self) -> None:
        require_text("entity", self.id)
        kinds = recorded_system(self.system).entities
        if self.kind not in kinds:
            raise RecordsError(f"kind: expected one of {', '.join(kinds)}, got {self.kind!r}")

    @property
    def column(self) -> str:
        """The name by which decisions know it."""
        return SYSTEMS[self.system].entities[self.kind]

    @property
    def is_usual(self) -> bool:
        """Whether decisions are indexed by it."""
        return self.column == usual_entity(self.system)


@dataclass(frozen=True, slots=True)
class EntityRecords:
    """Subjects that concern an entity, digests of their media, archived files by subject."""

    subjects: tuple[str, ...]
    media: frozenset[str]
    archived: Mapping[ArchiveFile, frozenset[str]]


def find_entity(database: Database, entity: Entity) -> EntityRecords:
    """Read the table and every file of the archive for what concerns an entity.

    The usual kind of a system is found by an index; others by reading all decisions once.
    """
    with database.reading() as connection:
        subjects = list(connection.execute(_subjects(entity)).scalars())
        in_archive = files(connection, entity.system)
    archived = {file: in_file for file in in_archive if (in_file := _in_file(file, entity))}
    every = sorted({*subjects, *itertools.chain.from_iterable(archived.values())})
    is_moderation = entity.system == "moderation"
    media = _media(database, subjects, archived) if is_moderation else frozenset()
    return EntityRecords(tuple(every), media, archived)


def entity_hash(entity: Entity, secret: bytes) -> str:
    """HMAC-SHA256 of system, kind and id, in hex: who has the secret can ask whether it was done.

    Raises:
        RecordsError: the secret is shorter than 16 bytes.
    """
    if len(secret) < 16:
        raise RecordsError(f"secret: expected 16 bytes or more, got {len(secret)}")
    text = "\0".join((entity.system, entity.kind, entity.id))
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def _subjects(entity: Entity) -> Any:
    if entity.is_usual:
        ids = DECISION_IDS.c
        return select(ids.subject_id).where(ids.system == entity.system, ids.entity_id == entity.id)
    named = DECISIONS.c.entities[entity.column].as_string()
    return select(DECISIONS.c.subject_id).where(
        DECISIONS.c.system == entity.system, named == entity.id
    )


def _in_file(file: ArchiveFile, entity: Entity) -> frozenset[str]:
    subjects: set[str] = set()
    for batch in read_columns(file, ["subject_id", "entity_id", "entities"]):
        for subject, usual, entities in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            named = usual if entity.is_usual else json.loads(entities).get(entity.column)
            if named == entity.id:
                subjects.add(subject)
    return frozenset(subjects)


def _media(
    database: Database, subjects: Iterable[str], archived: Mapping[ArchiveFile, frozenset[str]]
) -> frozenset[str]:
    digests: set[str] = set()
    for part in subjects_in_parts(subjects):
        query = select(DECISIONS.c.request).where(
            DECISIONS.c.system == "moderation", DECISIONS.c.subject_id.in_(part)
        )
        with database.reading() as connection:
            for request in connection.execute(query).scalars():
                digests.update(_digests(request))
    for file, in_file in archived.items():
        for batch in read_columns(file, ["subject_id", "request"]):
            for row in _rows_of(batch, in_file):
                digests.update(_digests(json.loads(row["request"])))
    return frozenset(digests)


def _digests(request: Mapping[str, Any]) -> list[str]:
    media = request.get("media")
    if not isinstance(media, dict):
        return []
    return [digest for digest in media.values() if isinstance(digest, str)]


def _rows_of(batch: pa.RecordBatch, subjects: frozenset[str]) -> list[dict[str, Any]]:
    return [row for row in batch.to_pylist() if row["subject_id"] in subjects]
