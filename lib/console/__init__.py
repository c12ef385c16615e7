"""What the console shows, read from records, registries and experiments; no browser, no server."""
