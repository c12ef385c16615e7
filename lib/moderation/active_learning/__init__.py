"""Which posts people should look at next, so that the model learns the most."""
