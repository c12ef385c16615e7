"""The active version of what is declared as text and replaced while requests run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from serve.framework.health import Health

Version = TypeVar("Version")


class Reloadable(Generic[Version]):
    """Keeps the active version; one that cannot be read leaves it as it is.

    Args:
        current: the version to start with.

    Attributes:
        current: the active version.
        error: why the last version was refused; None where it is active.
    """

    def __init__(self, current: Version) -> None:
        self.current = current
        self.error: str | None = None

    def status(self) -> Mapping[str, Any]:
        """What is active, and `error`."""
        raise NotImplementedError

    async def check(self) -> Health:
        """Whether the last version that was asked for is active."""
        return Health(self.error is None, self.status())

    def _replace(self, read: Callable[[], Version]) -> bool:
        """Reads, checks and swaps; whatever is wrong with a text must not take the replica down."""
        try:
            self.current = read()
        except Exception as error:
            self.error = str(error) or type(error).__name__
            return False
        self.error = None
        return True


def read_source(source: str | None, packaged: Path) -> tuple[str, str]:
    """A text and where it is from.

    Args:
        source: path of a file, or the YAML itself (it has more than one line); None: `packaged`.
        packaged: file of the version that comes with the product.
    """
    if source is not None and "\n" in source:
        return source, "user_config"
    path = packaged if source is None else Path(source)
    return path.read_text(encoding="utf-8"), str(path)
