"""A platform of simulated payments that learns by itself, day by day."""
