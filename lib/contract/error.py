"""Errors that a user can cause, worded so that the next step is clear."""


class ContractError(ValueError):
    """A data set or a mapping file cannot be used as it is; nothing was read past this point.

    The message names the field, what was expected, what came, and what to do next.
    """
