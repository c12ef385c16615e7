"""A simulated fleet with known truth, that runs on under any policy."""
