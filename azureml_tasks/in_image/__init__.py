"""Scripts that run under the image's own Python; they use the standard library alone."""
