"""Commands on the records of every system."""
