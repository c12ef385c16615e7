"""Time to an event: outcomes, curves, estimators and measures, for censored data."""
