"""The playbooks in force."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lib.churn.interventions import PLAYBOOKS_FILE, Playbooks, load_playbooks


class ActivePlaybooks:
    """Holds the playbooks in force; a bad text leaves them as they were.

    Args:
        names: of the features that playbooks may read.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names, self.error = names, None
        self._sound = ""
        self.load(None)

    error: str | None
    text: str
    playbooks: Playbooks

    @property
    def enabled(self) -> bool:
        """Whether anybody may be planned for."""
        return bool(self.playbooks.playbooks)

    def load(self, source: str | None, enabled: bool = True) -> bool:
        """Reads, checks and swaps. Never raises.

        Args:
            source: path of a file, or the YAML itself (it has more than one line); None: the
                packaged playbooks.
            enabled: False switches all of them off, whatever the text says, and even where the
                text cannot be read.

        Returns:
            Whether the wanted playbooks are in force now; `error` says why not.
        """
        try:
            text, origin = _text(source)
            load_playbooks(text, self.names, origin)
        except Exception as error:
            # whatever a file can raise: what raises here takes the replica with it
            self.error = str(error) or type(error).__name__
        else:
            self._sound, self.error = text, None
        if self._sound:
            self.text = self._sound if enabled else _switched_off(self._sound)
            self.playbooks = load_playbooks(self.text, self.names)
        return self.error is None

    def status(self) -> Mapping[str, Any]:
        """Version of the playbooks in force, how many, and why the last were refused."""
        return {
            "version": self.playbooks.version,
            "playbooks": len(self.playbooks.playbooks),
            "error": self.error,
        }


def _text(source: str | None) -> tuple[str, str]:
    if source is not None and "\n" in source:
        return source, "user_config"
    path = PLAYBOOKS_FILE if source is None else Path(source)
    return path.read_text(encoding="utf-8"), str(path)


def _switched_off(text: str) -> str:
    return yaml.safe_dump({**yaml.safe_load(text), "enabled": False}, sort_keys=False)
