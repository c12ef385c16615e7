"""The active playbooks."""

from collections.abc import Mapping
from typing import Any

from lib.churn.interventions.playbooks import (
    PLAYBOOKS_FILE,
    Playbooks,
    load_playbooks,
    switched_off,
)
from serve.framework.reloadable import Reloadable, read_source


class ActivePlaybooks(Reloadable[str]):
    """The active playbooks, `current` as they were written; a bad text leaves them as they are.

    Args:
        names: of the features that playbooks may read.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__("")
        self.names = names
        self.load(None)

    text: str
    playbooks: Playbooks

    @property
    def enabled(self) -> bool:
        """Whether anybody may be planned for."""
        return bool(self.playbooks.playbooks)

    def text_if(self, enabled: bool) -> str:
        """The active playbooks, or, where they are not to be enabled, all of them switched off."""
        return self.text if enabled else switched_off(self.text)

    def load(self, source: str | None, enabled: bool = True) -> bool:
        """Reads, checks and swaps. Never raises.

        Args:
            source: see `read_source`.
            enabled: False switches all of them off, whatever the text says, and even where the
                text cannot be read.

        Returns:
            Whether these playbooks are active now; `error` says why not.
        """
        self._replace(lambda: self._read(source))
        if self.current:
            self.text = self.current if enabled else switched_off(self.current)
            self.playbooks = load_playbooks(self.text, self.names)
        return self.error is None

    def _read(self, source: str | None) -> str:
        text, origin = read_source(source, PLAYBOOKS_FILE)
        load_playbooks(text, self.names, origin)
        return text

    def status(self) -> Mapping[str, Any]:
        """Version of the active playbooks, how many, and why the last were refused."""
        return {
            "version": self.playbooks.version,
            "playbooks": len(self.playbooks.playbooks),
            "error": self.error,
        }
