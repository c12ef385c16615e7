"""Parts of `tests.benchmarks.delayed_labels`."""
