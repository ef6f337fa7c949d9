"""Which project a run is about: everything that is kept for one project is kept under its key."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DIGITS = 32


def project_key(folder: Path, scope: str) -> str:
    """Return the key of a project, 32 hexadecimal digits; no file of the project can change it.

    Args:
        folder: of the project; its real path counts, so that a link to it names the same project.
        scope: whose caches the run uses, from INVOKE_AZUREML_IMAGE_CACHE_SCOPE; "" for the usual ones.
    """
    text = os.fsencode(os.path.realpath(folder)) + b"\0" + os.fsencode(scope)
    return hashlib.sha256(text).hexdigest()[:_DIGITS]
