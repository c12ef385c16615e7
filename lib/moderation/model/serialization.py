"""Weights and settings as bytes that execute nothing when they are read."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from lib.moderation.model.outputs import ModelError

Module = TypeVar("Module", bound=nn.Module)
Value = TypeVar("Value")
_LARGEST_SIZE, _MOST_LAYERS = 1_000_000, 1_000
_LARGEST = {
    **dict.fromkeys(("layers", "num_hidden_layers"), _MOST_LAYERS),
    **dict.fromkeys(("side", "image_size"), 2_048),
    **{"frames": 1_024, "length": 16_384, "members": 100},
}

Files = dict[str, bytes]
Reader = Callable[[str], bytes]
"""Takes the name of a file of an artifact and answers its bytes."""


def module_bytes(module: nn.Module) -> bytes:
    """All parameters and buffers of a module, on whatever device it is."""
    return tensors_bytes(module.state_dict())


def read_tensors(content: bytes, origin: str) -> dict[str, Tensor]:
    """Named tensors of a safetensors file, which executes nothing when it is read.

    Raises:
        ModelError: the file is cut short, or is none of that format.
    """
    return _loaded(safetensors.torch.load, content, origin)


def fill_module(module: nn.Module, content: bytes, origin: str) -> None:
    """Put stored weights into a module of the same form.

    Raises:
        ModelError: names or shapes differ; the message says which.
    """
    state = read_tensors(content, origin)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{origin}: {error}") from error


def read_module(build: Callable[[], Module], content: bytes, origin: str) -> Module:
    """A module with stored weights, whose form was compared with them before it took memory.

    Args:
        build: makes the module, on whatever device torch puts it.
        content: its weights.
        origin: their file, for messages.

    Raises:
        ModelError: names or shapes differ, or a weight is not a finite number.
    """
    state = read_tensors(content, origin)
    with torch.device("meta"):
        form = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    stored = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(form.keys() | stored.keys()):
        if form.get(name) != stored.get(name):
            raise ModelError(
                f"{origin}: {name}: expected the shape {form.get(name)}, got {stored.get(name)}"
            )
        if not bool(torch.isfinite(state[name]).all()):
            raise ModelError(f"{origin}: {name}: a weight is not a finite number")
    module = build()
    module.load_state_dict(state)
    return module


def check_sizes(sizes: object, origin: str) -> None:
    """Refuse sizes of a model beyond what could have been trained, before anything is built.

    Raises:
        ModelError: a whole number is above a million, or above what its field may be.
    """
    if isinstance(sizes, dict):
        for name, value in sizes.items():
            most = _LARGEST.get(name, _LARGEST_SIZE)
            if type(value) is int and abs(value) > most:
                raise ModelError(f"{origin}: {name}: expected at most {most:,}, got {value:.3g}")
            check_sizes(value, origin)
    elif isinstance(sizes, list):
        if len(sizes) > _MOST_LAYERS:
            raise ModelError(f"{origin}: a list of sizes has {len(sizes):,} entries")
        for value in sizes:
            check_sizes({"size": value}, origin)


def tensors_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Named tensors."""
    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    )


def arrays_bytes(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Named arrays."""
    return safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})


def read_arrays(content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays as `arrays_bytes` stored them.

    Raises:
        ModelError: the file is cut short, or is none of that format.
    """
    return _loaded(safetensors.numpy.load, content, "arrays")


def _loaded(
    load: Callable[[bytes], dict[str, Value]], content: bytes, origin: str
) -> dict[str, Value]:
    try:
        return dict(load(content))
    except SafetensorError as error:
        raise ModelError(f"{origin}: not a safetensors file: {error}") from error


def json_bytes(value: object) -> bytes:
    """Plain values."""
    return json.dumps(value, indent=1, allow_nan=False).encode()


def config_of(module: nn.Module) -> dict[str, Any]:
    """The configuration of a module of transformers as plain values."""
    config: Any = module.config
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict(), default=str))
    return values
