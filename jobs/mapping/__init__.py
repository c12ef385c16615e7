"""Mapping files: suggested for a file that nobody described yet, and tried on it."""
