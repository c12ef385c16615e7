"""The databases of the records' tests, for erasure and retention."""

from tests.records.conftest import postgresql, records, url

__all__ = ["postgresql", "records", "url"]
