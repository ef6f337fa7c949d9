"""Read what names Python packages: conda files, requirements and lock files, pyproject.toml."""
