"""Several jobs in one driver."""
