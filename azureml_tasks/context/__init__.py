"""The build context: its files, their hashes, and its archive."""
