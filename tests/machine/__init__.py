"""What the demo and the tests need of a machine: an engine, a registry, base images, docker clients."""
