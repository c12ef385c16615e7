"""Commands on the model registry: list, promote, roll back."""
