"""Read scripts, models and requests."""
