"""The smoke test: an image → a report."""
