"""The databases of the records, for experiments, and keys that draw the same arms in each run."""

import random

import pytest

from tests.records.conftest import postgresql, url

__all__ = ["postgresql", "url"]


@pytest.fixture(autouse=True)
def experiment_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw experiments' keys from a seed: with new ones, 5% of verdicts would be false ones."""
    monkeypatch.setattr("lib.experiment.repository.secrets.token_bytes", random.Random(7).randbytes)
