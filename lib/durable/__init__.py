"""Files that are whole or not there: written aside, synced, renamed, and locked by one process.

POSIX only: renames are atomic within one file system, locks are `flock`.
"""

from lib.durable.files import locked, replace_file, sync

__all__ = ["locked", "replace_file", "sync"]
