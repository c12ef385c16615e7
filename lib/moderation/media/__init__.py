"""Media of a post: fetched from listed places, decoded within limits, matched by hash."""
