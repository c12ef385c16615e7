"""Boosted trees as files: read with every index checked, before a library follows one."""
