"""The cache of Docker's legacy builder, from which other builds on the same engine remove images at any moment."""

from __future__ import annotations

import re

__all__ = ["has_lost_an_image"]

_LOST_IMAGE = re.compile(r'unable to find image "sha256:[0-9a-f]{64}"')


def has_lost_an_image(output: str) -> bool:
    """Return whether a build with this *output* failed because an image was removed while it looked for a step.

    The builder reads every image on the same parent, and ends if one of them is gone.
    """
    return _LOST_IMAGE.search(output) is not None
