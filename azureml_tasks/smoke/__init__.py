"""The smoke test: run an image, send it requests, report on the answers."""
