"""A model's folder on this machine, from wherever it is."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions
from lib.contract import ContractError
from lib.registry import Registry
from lib.storage import LocalStorage, open_storage


def _require_model(model: str | None, registry: str | None) -> None:
    if (model is None) == (registry is None):
        raise ContractError("expected either --model or --registry")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(JobOptions):
    """Which model a job asks."""

    model: InputPath | None = None
    """folder or URI of a model"""
    registry: InputPath | None = None
    """directory or URI of the model registry"""
    version: str = "champion"
    """version or alias in the registry"""

    def check(self) -> None:
        """See `JobOptions`."""
        _require_model(self.model, self.registry)
        super().check()


@contextmanager
def model_directory(
    system: str, model: str | None, registry: str | None, version: str
) -> Iterator[Path]:
    """The artifact of a folder or of the registry; a copy is gone at the end.

    Args:
        system: of the model.
        model: folder or URI of an artifact; or give `registry`.
        registry: directory or URI.
        version: version or alias in the registry.

    Raises:
        ContractError: neither or both of model and registry are given.
        RegistryError: the registry holds no such version.
    """
    _require_model(model, registry)
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            yield Registry(str(registry)).fetch(system, version, Path(folder))
            return
        storage = open_storage(model)
        if isinstance(storage, LocalStorage):
            yield Path(storage.at())
            return
        for name in storage.files():
            storage.download(name, Path(folder) / name)
        yield Path(folder)
