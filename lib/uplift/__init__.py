"""Whom an intervention changes: effects by customer, learnt from an experiment with chance."""
