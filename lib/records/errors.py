"""Errors of the records, each written for the person who can mend it."""


class RecordsError(ValueError):
    """A record, a query or the database's schema is not what it has to be."""


class RefusedRowsError(RecordsError):
    """The database refused rows for what they hold; the same rows are refused again."""


class RecordsUnavailableError(ConnectionError):
    """The database cannot be reached or is busy; the same call can succeed later."""


class DecisionLogFullError(RuntimeError):
    """Too many decisions wait on the local disk for a database that is away."""
