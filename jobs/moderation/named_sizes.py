"""The size of the models, as options name it."""

from __future__ import annotations

from pathlib import Path

from lib.contract import ContractError
from lib.contract.yaml_document import read_yaml_text
from lib.moderation.model.sizes import SIZES, Size, parse_size, size_of


def read_size_option(told: str) -> Size:
    """A size by its name, or out of a YAML file.

    Raises:
        ContractError: it is neither.
        ModelError: the file cannot be meant.
    """
    if told in SIZES:
        return size_of(told)
    if not Path(told).is_file():
        raise ContractError(f"--size: expected {', '.join(SIZES)} or a YAML file, got {told!r}")
    return parse_size(read_yaml_text(Path(told)), told)
