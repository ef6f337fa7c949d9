"""The version of this package, which is a part of what names an image's making."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = "0.1.0"
