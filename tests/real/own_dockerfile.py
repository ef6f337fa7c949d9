"""The example of the page about Dockerfiles of one's own."""

from __future__ import annotations

from tests.documentation import DOCS, blocks

__all__ = ["PAGE", "example"]

PAGE = DOCS / "own-dockerfile.md"
MCR = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"


def example(name: str, base: str, *, more: str = "", dockerfile: str = "") -> dict[str, str]:
    """Return the files of the page's example with this *name* and *base*, and *more* lines in its table."""
    table, text, serve = (blocks(PAGE, language)[0] for language in ("toml", "dockerfile", "python"))
    table = table.replace('name = "scoring"', f'name = "{name}"')
    return {
        "pyproject.toml": table.replace('"Dockerfile"\n', f'"Dockerfile"\n{more}\n'),
        "Dockerfile": (dockerfile or text).replace(MCR, base),
        "src/serve.py": serve,
    }
