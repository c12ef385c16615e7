"""Files that are whole or not there: written aside, synced, renamed, and locked by one process.

POSIX only: renames are atomic within one file system, locks are `flock`.
"""

from lib.durable.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    locked,
    locked_at_once,
    make_folder,
    make_private,
    narrow,
    replace_file,
    sync,
)
from lib.durable.rotation import RotatingFile

__all__ = [
    "PRIVATE_FILE",
    "PUBLIC_FILE",
    "RotatingFile",
    "locked",
    "locked_at_once",
    "make_folder",
    "make_private",
    "narrow",
    "replace_file",
    "sync",
]
