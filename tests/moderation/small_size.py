"""A model of posts that is trained in seconds."""

SMALL_SIZE = """
like: tiny
text: {hidden: 16, learning: {epochs: 2}}
image: {learning: {epochs: 2}}
video: {widths: [4, 8], learning: {epochs: 2}}
fusion: {learning: {epochs: 4}}
"""
