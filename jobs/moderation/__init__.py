"""Moderation jobs: from tables of posts and media to a trained model, scores, and what to label."""
