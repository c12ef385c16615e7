"""Outcomes of decisions in money, and the page that says what they came to."""
