"""Dockerfiles as people write them by hand, for the same project."""

from __future__ import annotations

from tests.machine import documentation_page

__all__ = ["IDEAL", "IGNORED", "PAGE", "ideal", "page"]

IDEAL, PAGE = "Dockerfile.ideal", "Dockerfile.page"
IGNORED = ".git\n.venv\n.azureml-image\n"
"""Both are given the `.dockerignore` of somebody who knows what it is for."""

_IDEAL = """\
FROM {base}
USER root
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
COPY model /var/azureml-app/azureml-models
ENV AZUREML_MODEL_DIR=/var/azureml-app/azureml-models
COPY code /var/azureml-app
ENV AZUREML_ENTRY_SCRIPT=score.py
USER dockeruser
"""


def ideal(base: str) -> str:
    """What changes often comes last: packages, model, code."""
    return _IDEAL.format(base=base)


def page(base: str) -> str:
    """As Azure ML's page has it, but for system packages, of which the project has none."""
    return documentation_page.dockerfile(base, system=False)
