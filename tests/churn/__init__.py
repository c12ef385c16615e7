"""Tests of the churn system."""
