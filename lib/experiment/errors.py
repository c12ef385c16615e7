"""Errors of experiments, each written for the person who can mend it."""


class ExperimentError(ValueError):
    """An experiment is not declared, started, changed or judged as it has to be."""


class ExperimentEndedError(ExperimentError):
    """The experiment ended before; whoever wanted its end has it."""
