"""The databases of the records' tests, for erasure and retention."""

from collections.abc import Iterator

import pytest

from lib.records import (
    Records,
)
from lib.records.database import Database
from tests.records.conftest import postgresql, records, url

__all__ = ["postgresql", "records", "url"]


@pytest.fixture
def database(url: str, records: Records) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()
