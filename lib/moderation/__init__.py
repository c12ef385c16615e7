"""Moderation: text, image and video of a post against a set of policies."""
