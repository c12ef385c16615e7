"""The moderation model: text, image and video answer apart, fusion puts them together."""

SYSTEM = "moderation"
