"""Makes torchvision importable beside a torch without CUDA.

Torchvision's wheel is linked to CUDA. Its library of compiled operators then does not load, and
`import torchvision` (and with it much of transformers) fails with "operator torchvision::nms does
not exist". Nothing here uses those operators, so their schemas alone are enough.
"""

import importlib
import threading
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_LOCK = threading.Lock()
# a Library forgets its operators when it is collected
_KEPT: list[Any] = []


def prepare_torchvision() -> None:
    """Define the missing operators once, only where torchvision's own library does not load."""
    with _LOCK:
        if _KEPT or _loads():
            return
        import torch  # noqa: PLC0415

        library = _untyped(torch.library.Library)("torchvision", "DEF")
        for schema in _SCHEMAS:
            library.define(schema)
        _KEPT.append(library)


def vision() -> Any:
    """The module `torchvision`."""
    prepare_torchvision()
    return importlib.import_module("torchvision")


def transformers() -> Any:
    """The module `transformers`, whose image models import torchvision."""
    prepare_torchvision()
    return importlib.import_module("transformers")


def _loads() -> bool:
    """Whether the compiled operators of torchvision can be loaded."""
    from importlib.util import find_spec  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    import torch  # noqa: PLC0415

    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True
    for file in Path(spec.origin).parent.glob("_C*.so"):
        try:
            _untyped(torch.ops.load_library)(str(file))
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")


def _untyped(function: Any) -> Any:
    """A function of torch without annotations."""
    return function
