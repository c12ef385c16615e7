"""A model in use: drift of its inputs, its performance before and with labels, incidents."""
