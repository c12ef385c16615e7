"""What a replica asks of the interpreter, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import gc
from serve.framework.runtime_tuning import freeze_heap, tune_interpreter

tune_interpreter()
alive = [[number] for number in range(50_000)]
before = len(gc.get_objects())
freeze_heap()
frozen = gc.get_freeze_count()
assert frozen > 50_000, frozen
assert len(gc.get_objects()) < before - 50_000
later = [[number] for number in range(50_000)]
freeze_heap()
assert gc.get_freeze_count() <= frozen, "frozen once more: what a model left would never be freed"
"""


def test_a_full_collection_passes_over_what_was_alive_when_the_model_was_loaded() -> None:
    subprocess.run([sys.executable, "-c", _SCRIPT], check=True, timeout=60)
