"""Content moderation: text, image and video against policies."""
