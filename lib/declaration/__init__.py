"""Files in which people declare something: YAML in, a checked model out, faults with their line."""

from lib.declaration.ranges import require_share
from lib.declaration.spelling import did_you_mean, entry_of, repeated
from lib.declaration.yaml_document import DocumentError, read_yaml, read_yaml_text
from lib.declaration.yaml_model import (
    DeclarationError,
    check_declaration,
    load_declaration,
    load_over,
    load_packaged,
    locate,
)

__all__ = [
    "DeclarationError",
    "DocumentError",
    "check_declaration",
    "did_you_mean",
    "entry_of",
    "load_declaration",
    "load_over",
    "load_packaged",
    "locate",
    "read_yaml",
    "read_yaml_text",
    "repeated",
    "require_share",
]
