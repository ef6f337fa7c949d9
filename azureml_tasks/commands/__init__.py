"""One file for each task; each returns its result."""
