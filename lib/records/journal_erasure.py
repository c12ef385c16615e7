"""An entity in decision logs on the local disk: drained first, then nothing of it is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from lib.records.draining import drain
from lib.records.entity import Entity
from lib.records.json_codec import write_json
from lib.records.models import Row
from lib.records.records import Records
from lib.records.segment import decode_row, drop_lines, segments


def waiting_decisions(directory: Path, entity: Entity) -> int:
    """Decisions about an entity that no drain has taken yet, those being written included."""
    written = write_json(entity.id)
    rows = (decode_row(line) for line in _lines(directory) if written in line)
    return sum(_is_about(row, entity) for row in rows if row is not None)


def drain_until_gone(
    directory: Path,
    records: Records,
    entity: Entity,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Drain what dead processes left, and wait for the living to hand over what is of an entity.

    Args:
        directory: of the logs.
        records: the database.
        entity: whom.
        seconds: to wait at most; a service hands over every second.
        sleep: waits.

    Returns:
        Decisions about the entity that still wait.
    """
    waited = 0.0
    while True:
        drain(directory, records)
        left = waiting_decisions(directory, entity)
        if not left or waited >= seconds:
            return left
        sleep(0.5)
        waited += 0.5


def drop_leftovers(directory: Path, entity: Entity, *, count_only: bool = False) -> int:
    """Take an entity out of lines that the database refused or that were damaged."""
    written = write_json(entity.id)

    def is_of_entity(row: Row | None, line: bytes) -> bool:
        if row is None:
            return written in line
        return _is_about(row, entity)

    return drop_lines(directory, is_of_entity, count_only=count_only)


def _lines(directory: Path) -> Iterator[bytes]:
    for path in segments(directory):
        with suppress(FileNotFoundError):  # a drain has taken it
            yield from path.read_bytes().splitlines()


def _is_about(row: Row, entity: Entity) -> bool:
    return bool(row["system"] == entity.system and row["entities"].get(entity.column) == entity.id)
