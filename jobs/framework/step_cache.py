"""Results of finished steps, kept so that the same command continues where it was cut off."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from lib.storage import Storage, open_storage

Arrays = dict[str, npt.NDArray[Any]]


class StepCache:
    """A folder of named results that belong to one set of inputs and options.

    Args:
        storage: where they are kept, reachable from all machines.
        inputs: everything the results depend on, as JSON; another content is another folder.
    """

    def __init__(self, storage: Storage, inputs: Mapping[str, Any]) -> None:
        text = json.dumps(inputs, sort_keys=True, default=str)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.storage = open_storage(storage.address(f"stages/{self.key}"))

    def bytes(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a step: read where it is finished, else made and kept."""
        content = self.storage.read(name)
        if content is None:
            content = make()
            self.storage.write(name, content)
        return content

    def has(self, name: str) -> bool:
        """Whether the bytes of a step are there."""
        return self.storage.exists(name)

    def has_arrays(self, name: str) -> bool:
        """Whether the named arrays of a step are there."""
        return self.has(f"{name}.safetensors")

    def arrays(self, name: str, make: Callable[[], Mapping[str, npt.NDArray[Any]]]) -> Arrays:
        """The named arrays of a step, kept as safetensors."""
        return dict(
            load(
                self.bytes(
                    f"{name}.safetensors",
                    lambda: save({key: np.ascontiguousarray(v) for key, v in make().items()}),
                )
            )
        )

    def number(self, name: str, make: Callable[[], int]) -> int:
        """A whole number of a step."""
        return int(self.bytes(f"{name}.txt", lambda: str(make()).encode()))
