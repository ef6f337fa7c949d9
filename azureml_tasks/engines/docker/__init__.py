"""The local engine, Docker's or Podman's."""
