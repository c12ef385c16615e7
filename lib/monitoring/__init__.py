"""A model in use: drift of what it reads and says, and its performance, before labels and after."""
