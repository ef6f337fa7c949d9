"""The packages that pip installs: requirements files, requirements of pyproject.toml, and pip's step."""
