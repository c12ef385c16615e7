"""Contacts that plans ask for: which are open."""

from lib.feature import DAY

OPEN_US = 30 * DAY
"""For so long a planned contact of which nothing was reported counts as open, microseconds."""
