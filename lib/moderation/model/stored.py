"""Weights and settings as bytes that execute nothing when they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
from torch import Tensor, nn

from lib.moderation.model.answers import ModelError

Files = dict[str, bytes]
Reader = Callable[[str], bytes]
"""Takes the name of a file of an artifact and answers its bytes."""


def module_bytes(module: nn.Module) -> bytes:
    """All parameters and buffers of a module, on whatever device it is."""
    state = {name: one.detach().cpu().contiguous() for name, one in module.state_dict().items()}
    return safetensors.torch.save(state)


def fill_module(module: nn.Module, content: bytes, origin: str) -> None:
    """Put stored weights into a module of the same form.

    Raises:
        ModelError: names or shapes differ; the message says which.
    """
    state = safetensors.torch.load(content)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{origin}: {error}") from error


def tensors_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Named tensors."""
    return safetensors.torch.save({name: one.cpu().contiguous() for name, one in tensors.items()})


def arrays_bytes(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Named arrays."""
    return safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})


def read_arrays(content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays as `arrays_bytes` stored them."""
    return dict(safetensors.numpy.load(content))


def json_bytes(value: object) -> bytes:
    """Plain values."""
    return json.dumps(value, indent=1, allow_nan=False).encode()


def config_of(module: nn.Module) -> dict[str, Any]:
    """The configuration of a module of transformers as plain values."""
    config: Any = module.config
    told: dict[str, Any] = json.loads(json.dumps(config.to_dict(), default=str))
    return told
