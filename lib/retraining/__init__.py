"""Whether a newly trained model replaces the champion: comparison, margin, record."""
