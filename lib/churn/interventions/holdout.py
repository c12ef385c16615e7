"""Who is left alone, so that what interventions change can be seen."""

from __future__ import annotations

import hashlib

_BYTES = 8


def is_held_out(customer_id: str, share: float, salt: str) -> bool:
    """Whether a customer belongs to the holdout: always the same answer for the same salt.

    Args:
        customer_id: who.
        share: of customers, 0 to 1.
        salt: another one draws another holdout; change it only to begin a new experiment.
    """
    digest = hashlib.sha256(f"{salt}\x00{customer_id}".encode()).digest()[:_BYTES]
    return int.from_bytes(digest, "big") / 2.0 ** (8 * _BYTES) < share
