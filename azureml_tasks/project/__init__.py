"""A project's folder → Project."""
