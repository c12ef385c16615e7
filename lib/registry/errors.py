"""Errors of the registry, each written for the person who can mend it."""


class ArtifactError(ValueError):
    """An artifact is damaged, malformed or made for other features."""


class RegistryError(ValueError):
    """The registry was asked for something it does not hold or must not do."""


class AliasMovedError(RegistryError):
    """An alias was moved by somebody else since it was read; look again before it is moved."""
