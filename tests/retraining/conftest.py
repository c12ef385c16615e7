"""A database of each kind."""

from tests.records.conftest import postgresql, url

__all__ = ["postgresql", "url"]
