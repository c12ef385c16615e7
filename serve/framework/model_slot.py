"""The model in force, and how it is replaced while requests run."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from lib.registry import Registry
from serve.framework.settings import ServiceSettings

Model = TypeVar("Model")
Part = TypeVar("Part")


class RestartRequiredError(Exception):
    """A model reads what a service settles when it starts; the message says what."""


class ModelSlot(Generic[Model]):
    """Holds a model. One that cannot be used never takes the place of one that can.

    Args:
        system: of the models in the registry.
        registry: its directory or URI.
        folder: where local copies are kept.
        load: reads an artifact's directory, tries the model out, and raises if it is of no use.
    """

    def __init__(
        self, system: str, registry: str, folder: Path, load: Callable[[Path], Model]
    ) -> None:
        self._system, self._registry, self._folder, self._load = system, registry, folder, load
        self._loading = threading.Lock()
        self._refused: str | None = None
        self._restart_reason = ""
        self.current: Model | None = None
        self.version: str | None = None
        self.target = "champion"
        self.error: str | None = None

    def load(self, version_or_alias: str) -> bool:
        """Fetches, checks and swaps; blocks, so call it from a thread. Never raises.

        Args:
            version_or_alias: alias or version.

        Returns:
            Whether the model in force is the wanted one now; `error` says why not. A replica
            without any model then takes the champion, if there is one.
        """
        with self._loading:
            self.target = version_or_alias
            loaded = self._try(version_or_alias)
            if not loaded and self.current is None and version_or_alias != "champion":
                why = self.error
                self._try("champion")
                self.error = why
            return loaded

    def refresh_alias(self) -> bool | None:
        """Loads the wanted model again if its alias has moved or it could not be loaded before.

        Returns:
            None if nothing had to be done, else as `load`.
        """
        with self._loading:
            try:
                version = Registry(self._registry).resolve(self._system, self.target)
            except Exception as error:  # a registry that is away is no reason to stop serving
                self.error = _error_text(error)
                return None
            if version == self.version:
                self.error = None
                return None
            if version == self._refused:
                return None
            return self._try(version)

    @property
    def restart_reason(self) -> str:
        """Why only a start can bring a model in; "" where there is one, or none to be had."""
        return self._restart_reason if self.current is None else ""

    def state(self) -> Mapping[str, Any]:
        """`version`, `target` and `error`; the first is None without a model."""
        return {"version": self.version, "wanted": self.target, "error": self.error}

    def _try(self, version_or_alias: str) -> bool:
        version: str | None = None
        try:
            registry = Registry(self._registry)
            version = registry.resolve(self._system, version_or_alias)
            model = self._load(registry.fetch(self._system, version, self._folder))
        except Exception as error:  # whatever is wrong with a model, the old one keeps serving
            self._refused, self.error = version, _error_text(error)
            self._restart_reason = str(error) if isinstance(error, RestartRequiredError) else ""
            return False
        self.current, self.version = model, version
        self._refused, self.error = None, None
        return True


def read_at_start(
    system: str, settings: ServiceSettings, read: Callable[[Path], Part], default: Part
) -> Part:
    """What a service settles when it starts: a part of the model that it starts with.

    Args:
        system: of the models in the registry.
        settings: with the registry, the wanted model, and the folder of local copies.
        read: reads the part from an artifact's directory.
        default: where there is no such model and no champion, or the registry does not answer.
    """
    registry = Registry(settings.registry)
    for version in dict.fromkeys((settings.model, "champion")):
        try:
            return read(registry.fetch(system, version, settings.models))
        except Exception:  # noqa: S112 whatever is wrong with it, loading the model says so
            continue
    return default


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
