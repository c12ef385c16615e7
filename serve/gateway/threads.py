"""What a replica that answers on its event loop asks of the interpreter."""

from __future__ import annotations

import sys

_SECONDS = 0.0005


def quick_switching() -> None:
    """Lets the event loop wait half a millisecond for a busy thread, rather than five."""
    sys.setswitchinterval(_SECONDS)
