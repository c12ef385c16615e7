"""What a system's loader of challengers returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Answer: TypeAlias = Mapping[str, Any]
"""`score`, a probability, and what the system's decision needs; msgpack can hold it."""


@dataclass(frozen=True)
class Challenger:
    """A model behind packed inputs.

    Attributes:
        about: `version`, and what decisions need of the model beside its answers.
        answers: an answer for each packed input.
    """

    about: Mapping[str, Any]
    answers: Callable[[Sequence[bytes]], Sequence[Answer]]


Loader: TypeAlias = Callable[[Path, Mapping[str, Any]], Challenger]
"""Loads the challenger of an artifact's directory by options of the system, which msgpack can hold.

Raises ArtifactError where the artifact is damaged, or does not suit the options.
"""
