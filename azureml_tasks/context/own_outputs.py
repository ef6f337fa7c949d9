"""Files that our own commands have written, known by how they begin.

They may lie in a folder that is copied, under any name. The result of a build must not change the next build.
"""

from __future__ import annotations

GENERATED_HEAD = "# Generated from [tool.azureml-image]"
"""How a generated Dockerfile and the YAML of `image.environment` begin."""
DOCKERFILE_OF_IMAGE = "# tool.azureml-image.images."
"""How the Dockerfiles of several images begin."""
JUNIT_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- smoke test by azureml-tasks -->'
"""How the report of `--junit` begins."""
REPORT_HEAD = "<!DOCTYPE html>\n<!-- image report by azureml-tasks -->\n"
"""How the page of `image.report` begins."""
_TAR_BLOCK = 512
"""Bytes of a header in an archive; the content of the member follows it."""
_HEADS = tuple(text.encode() for text in (GENERATED_HEAD, DOCKERFILE_OF_IMAGE, JUNIT_HEAD, REPORT_HEAD))
_ARCHIVED = b"Dockerfile\0"


def is_own_output(head: bytes) -> bool:
    """Return whether one of our commands wrote the file that begins with *head*, a kilobyte or more of it.

    That is YAML for Azure ML, a report of `--junit`, a page of `image.report`, a generated Dockerfile, or a build
    context with one: it is the first member of its archive.
    """
    if head.startswith(_ARCHIVED):
        head = head[_TAR_BLOCK:]
        return head.startswith(GENERATED_HEAD.encode())
    return head.replace(b"\r\n", b"\n").startswith(_HEADS)
