"""What the cluster has and can hold, and admission of work to it."""
