"""By what posts for the test are kept apart from those that teach."""

from typing import Literal

Split = Literal["author-time", "author", "time", "random"]
"""Newest posts of authors that taught nothing; authors alone; time alone; single posts."""
