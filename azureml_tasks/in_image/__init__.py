"""Scripts that run in containers, under the image's own Python, with the standard library alone."""
