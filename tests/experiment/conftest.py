"""The databases of the records, for experiments."""

from tests.records.conftest import postgresql, url

__all__ = ["postgresql", "url"]
