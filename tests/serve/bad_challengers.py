"""Challengers that misbehave once they are loaded, as loaders of a challenger's process."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.fraud.model import challenger


class _Bad:
    """A real challenger behind a fault."""

    def __init__(self, directory: Path, options: Mapping[str, Any]) -> None:
        self._real = challenger.load(directory, options)
        self.about = self._real.about
        self._kept: list[Any] = []

    def answers(self, inputs: Sequence[bytes]) -> list[dict[str, Any]]:
        self.misbehave()
        return [self.changed(answer) for answer in self._real.answers(inputs)]

    def misbehave(self) -> None:
        """Does nothing."""

    def changed(self, answer: dict[str, Any]) -> dict[str, Any]:
        return answer


class Sleeping(_Bad):
    def misbehave(self) -> None:
        time.sleep(5.0)


class Raising(_Bad):
    def misbehave(self) -> None:
        raise RuntimeError("a challenger that raises")


class NotANumber(_Bad):
    def changed(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "score": float("nan")}


class Hungry(_Bad):
    """Takes 2 GB, page by page."""

    def misbehave(self) -> None:
        self._kept.append(np.ones(2 << 27, dtype=np.float64))


class Dying(_Bad):
    def misbehave(self) -> None:
        os._exit(3)


class Garbled(_Bad):
    def changed(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {"score": answer["score"], "fields": {"unknown": 1}}


class Declining(_Bad):
    """Works, and declines every payment."""

    def changed(self, answer: dict[str, Any]) -> dict[str, Any]:
        fields = {**answer["fields"], "decision": "DECLINE", "probability": 1.0}
        return {"score": 1.0, "fields": fields}


def unloadable(directory: Path, options: Mapping[str, Any]) -> Any:
    raise ValueError("a challenger that cannot be loaded")


def loader(kind: str) -> str:
    """The name of one of these as a loader."""
    return f"tests.serve.bad_challengers:{kind}"


BAD = {
    "Sleeping": "timeout",
    "Raising": "raised",
    "NotANumber": "not a number",
    "Hungry": "memory",
    "Dying": "crashed",
    "Garbled": "raised",
    "unloadable": "raised",
}
"""By loader, the fault that it is told from."""
