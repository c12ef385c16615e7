"""Boosted trees: parameters, a bag of boosters, and files, read with every index checked."""
