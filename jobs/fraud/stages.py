"""Results of finished steps, kept so that the same command continues where it was cut off."""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save

Arrays = dict[str, npt.NDArray[Any]]


class Stages:
    """A folder of named results that belong to one set of inputs and options.

    Args:
        root: folder for all such sets.
        inputs: everything the results depend on, as JSON; another content is another folder.
    """

    def __init__(self, root: Path, inputs: Mapping[str, Any]) -> None:
        text = json.dumps(inputs, sort_keys=True, default=str)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder = root / self.key
        self.folder.mkdir(parents=True, exist_ok=True)

    def bytes(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a step: read where it is finished, else made and kept."""
        path = self.folder / name
        if path.exists():
            return path.read_bytes()
        content = make()
        draft = path.with_name(f".{name}.{uuid.uuid4().hex}.tmp")
        draft.write_bytes(content)
        draft.replace(path)
        return content

    def has_arrays(self, name: str) -> bool:
        """Whether the named arrays of a step are there."""
        return (self.folder / f"{name}.safetensors").exists()

    def arrays(self, name: str, make: Callable[[], Mapping[str, npt.NDArray[Any]]]) -> Arrays:
        """The named arrays of a step, kept as safetensors."""
        file = f"{name}.safetensors"
        self.bytes(file, lambda: save({key: np.ascontiguousarray(v) for key, v in make().items()}))
        return dict(load_file(self.folder / file))

    def number(self, name: str, make: Callable[[], int]) -> int:
        """A whole number of a step."""
        return int(self.bytes(f"{name}.txt", lambda: str(make()).encode()))
