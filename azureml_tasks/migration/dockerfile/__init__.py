"""Read a Dockerfile: what each of its instructions becomes."""
