"""The Dockerfile of Azure ML's page on extending a prebuilt image, which people follow by hand.

https://learn.microsoft.com/azure/machine-learning/how-to-extend-prebuilt-docker-image-inference
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["dockerfile"]

_SYSTEM = """\
USER root:root

# Install libpng-tools and opencv
RUN apt-get update && \\
    apt-get install -y \\
    {packages} && \\
    apt-get clean -y && \\
    rm -rf /var/lib/apt/lists/*

# Switch back to non-root user
USER dockeruser

"""
_REST = """\
COPY requirements.txt /tmp/requirements.txt

RUN pip install -r /tmp/requirements.txt

# Code
COPY code /var/azureml-app
ENV AZUREML_ENTRY_SCRIPT=score.py

# Model
COPY model /var/azureml-app/azureml-models
ENV AZUREML_MODEL_DIR=/var/azureml-app/azureml-models
"""


def dockerfile(base: str, *, apt: Sequence[str] = ()) -> str:
    """The page's text on the image *base*; its model comes after the code.

    Args:
        base: what stands in the place of the page's own.
        apt: the packages of its step for system packages; without any, it has no such step.
    """
    system = _SYSTEM.format(packages=" \\\n    ".join(apt)) if apt else ""
    return f"FROM {base}\n\n{system}{_REST}"
