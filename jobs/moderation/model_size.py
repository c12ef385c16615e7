"""The size of the models, as options name it."""

from __future__ import annotations

from pathlib import Path

from lib.contract import ContractError
from lib.declaration import read_yaml_text
from lib.moderation.model.model_config import SIZES, ModelConfig, parse_size, size_of


def read_size_option(name_or_path: str) -> ModelConfig:
    """A size by its name, or out of a YAML file.

    Raises:
        ContractError: it is neither.
        ModelError: the file cannot be meant.
    """
    if name_or_path in SIZES:
        return size_of(name_or_path)
    if not Path(name_or_path).is_file():
        raise ContractError(
            f"--size: expected {', '.join(SIZES)} or a YAML file, got {name_or_path!r}"
        )
    return parse_size(read_yaml_text(Path(name_or_path)), name_or_path)
