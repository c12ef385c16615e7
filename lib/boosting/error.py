"""The one error of this package."""


class BoosterError(ValueError):
    """A file of boosted trees that cannot be served; the message names field, bound and value."""
