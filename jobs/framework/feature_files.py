"""Feature files that jobs are given."""

from __future__ import annotations

from pathlib import Path

from lib.contract import ContractError
from lib.declaration import read_yaml_text


def read_feature_file(path: str | Path) -> tuple[str, str]:
    """Text and name of a feature file.

    Raises:
        ContractError: it cannot be read, or holds nothing.
    """
    name = Path(path).name
    text = read_yaml_text(path, name, ContractError)
    if not text.strip():
        raise ContractError(f"{name}: expected a list 'features', got an empty file")
    return text, name
