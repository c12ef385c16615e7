"""A week's maintenance: who is served when, at which cost, and why not otherwise."""
