"""Whether this process can train on a GPU: what was built for CUDA, and what the driver shows."""

import ctypes
from dataclasses import dataclass


@dataclass(frozen=True)
class Devices:
    """On what each half can train here: `cuda` or `cpu`."""

    trees: str = "cpu"
    network: str = "cpu"

    @property
    def both(self) -> str:
        """What a fit of both halves in one process uses."""
        return "cuda" if self.trees == self.network == "cuda" else "cpu"


def devices_here() -> Devices:
    """What the builds of this machine and its driver allow."""
    import torch
    import xgboost

    visible = _visible_gpus() > 0
    boosts = visible and bool(xgboost.build_info().get("USE_CUDA"))
    return Devices("cuda" if boosts else "cpu", "cuda" if torch.cuda.is_available() else "cpu")


def _visible_gpus() -> int:
    """GPUs that the CUDA driver shows to this process, 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
