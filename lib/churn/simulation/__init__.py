"""Simulated B2B accounts with known causes of leaving and known effects of interventions."""
