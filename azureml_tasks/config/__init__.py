"""The text of pyproject.toml → `Settings`."""
