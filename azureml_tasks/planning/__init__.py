"""Every decision about an image as one value, and its Dockerfile."""
