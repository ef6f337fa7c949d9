"""The version of this package, which is a part of each build's fingerprint."""

from __future__ import annotations

VERSION = "0.1.0"
__version__ = VERSION
