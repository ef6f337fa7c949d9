"""The API of a container registry."""
