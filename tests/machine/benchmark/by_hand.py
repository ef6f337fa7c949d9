"""Dockerfiles as people write them by hand, for the same project."""

from __future__ import annotations

from collections.abc import Sequence

from tests.machine import documentation_page

__all__ = ["CODE", "IDEAL", "IGNORED", "PAGE", "code", "ideal", "page"]

CODE, IDEAL, PAGE = "Dockerfile.code", "Dockerfile.ideal", "Dockerfile.page"
IGNORED = ".git\n.venv\n.azureml-image\n"
"""All are given the `.dockerignore` of somebody who knows what it is for."""

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


_CODE = """\
FROM {base}
USER root
COPY code /var/azureml-app
ENV AZUREML_ENTRY_SCRIPT=score.py
USER dockeruser
"""


def code(base: str) -> str:
    """The code alone, without packages and without a model."""
    return _CODE.format(base=base)


def ideal(base: str) -> str:
    """What changes often comes last: packages, model, code."""
    return _IDEAL.format(base=base)


def page(base: str, apt: Sequence[str] = ()) -> str:
    """As Azure ML's page has it, with *apt* as its system packages."""
    return documentation_page.dockerfile(base, apt=apt)
