"""When each cached image of this user was last used, as the time of an empty file.

Docker notes when an image was last tagged, so a new tag would do. But an engine that keeps its images in containerd
ignores a tag that an image has already (moby, daemon/containerd/image_tag.go), and Podman notes nothing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from azureml_tasks.state.user_folder import user_folder

if TYPE_CHECKING:
    from pathlib import Path


def note_use(engine_id: str, name: str) -> None:
    """Note that the image *name* of an engine is used now; without a writable state folder nothing is noted."""
    file = _file(engine_id, name)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def last_use(engine_id: str, name: str) -> float:
    """Return when the image was last used, in seconds since 1970; 0 if that is not known."""
    try:
        return _file(engine_id, name).stat().st_mtime
    except OSError:
        return 0.0


def forget_use(engine_id: str, name: str) -> None:
    """Forget an image that was removed."""
    with suppress(OSError):
        _file(engine_id, name).unlink(missing_ok=True)


def _file(engine_id: str, name: str) -> Path:
    return user_folder() / "used" / hashlib.sha256(f"{engine_id} {name}".encode()).hexdigest()[:32]
