"""The folders that a layer of code is laid into, as an image has them, and which names are free in the last of them.

They are looked at in a container that is never started, once for each image, and noted by its id, which never moves.
https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerArchive
"""

from __future__ import annotations

import io
import tarfile
from functools import partial
from http import HTTPStatus
from stat import S_IMODE, S_ISGID
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from azureml_tasks.archive import TIME
from azureml_tasks.engines import notes
from azureml_tasks.engines.finishing import to_its_end
from azureml_tasks.engines.top_layer import Folder
from azureml_tasks.engines.wire import ask, beginning
from azureml_tasks.planning import APP_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from azureml_tasks.engines.endpoint import Endpoint

__all__ = ["Ground"]

_FILE = "ground.json"
_ENOUGH = 10_240  # bytes; the header of an archive's first member, and what may stand before it
_PATIENCE = 600.0  # seconds; a container that comes later would stay
_TYPES = [str, int, int, int, int]
"""Of the fields of a `Folder`, as a note has it."""
_MOST_NAMES = 200
"""Names that are looked for, which takes 2 ms each."""
_MOST_IMAGES = 16
"""Images that are noted, those that were looked at last."""


class Ground(NamedTuple):
    """Where the code goes, in the images of one engine.

    Args:
        endpoint: the engine.
        folder: of the records.
    """

    endpoint: Endpoint
    folder: Path

    def below(self, image_id: str, names: Iterable[str]) -> tuple[Folder, ...]:
        """The folders that the code lies in, the outer first, where all of *names* are free in the last one.

        Empty where a layer cannot simply be laid there: a name is taken, a folder is none, or nobody can tell.
        """
        wanted, noted = sorted(set(names)), notes.read(self.folder / _FILE)
        found = _ours(noted.get(image_id))
        if not found or not found["free"].keys() >= set(wanted):
            found = self._look(image_id, wanted) if len(wanted) <= _MOST_NAMES else None
            if found is None:
                return ()
            last = list((noted | {image_id: found}).items())[-_MOST_IMAGES:]
            notes.write(self.folder / _FILE, dict(last))
        is_free = all(found["free"][name] for name in wanted)
        return tuple(Folder(*each) for each in found["folders"]) if is_free else ()

    def _look(self, image_id: str, names: Iterable[str]) -> dict[str, Any] | None:
        """The folders and, by name, whether it is free; None where the engine does not say."""
        from azureml_tasks.engines.containers import new_name

        host, containers, name = self.endpoint.host, f"/v{self.endpoint.api}/containers", new_name()
        image = {"Image": image_id, "Cmd": ["true"], "Entrypoint": []}
        at, container = f"{containers}/create?name={name}", f"{containers}/{name}"
        try:
            made = to_its_end(partial(ask, host, at, method="POST", body=image, seconds=_PATIENCE))
            if not made or made[0] != HTTPStatus.CREATED:
                return None
            folders = [self._folder(container, path) for path in _paths()]
            free = {each: self._is_free(container, f"{APP_ROOT}/{each}") for each in names}
        finally:
            ask(host, f"{container}?force=1&v=1", method="DELETE")
        if None in free.values():
            return None
        return {"folders": [] if None in folders else folders, "free": free}

    def _folder(self, container: str, name: str) -> Folder | None:
        """A folder of the image; None where it is none, or has more to it than a layer of ours would say."""
        answer = beginning(self.endpoint.host, _archive(container, f"/{name}"), _ENOUGH)
        if answer and answer[0] == HTTPStatus.NOT_FOUND:
            return Folder(name, mode=0o755, uid=0, gid=0, mtime=TIME)  # as who copies into it makes it
        if not answer or answer[0] != HTTPStatus.OK:
            return None
        with tarfile.open(fileobj=io.BytesIO(answer[1])) as packed:
            found = packed.next()
        if not found or not found.isdir():
            return None
        if found.mode & S_ISGID or any("xattr" in key for key in found.pax_headers):
            return None
        return Folder(name, S_IMODE(found.mode), found.uid, found.gid, int(found.mtime))

    def _is_free(self, container: str, path: str) -> bool | None:
        answer = ask(self.endpoint.host, _archive(container, path), method="HEAD")
        known: dict[int, bool] = {HTTPStatus.NOT_FOUND: True, HTTPStatus.OK: False}
        return known.get(answer[0]) if answer else None


def _ours(found: Any) -> dict[str, Any] | None:
    """A note that is as `_look` makes it; None for another, which another version of ours may have made."""
    if not isinstance(found, dict) or not isinstance(found.get("free"), dict):
        return None
    folders = found.get("folders")
    is_ours = isinstance(folders, list) and all(
        isinstance(each, list) and list(map(type, each)) == _TYPES for each in folders
    )
    return found if is_ours else None


def _archive(container: str, path: str) -> str:
    return f"{container}/archive?{urlencode({'path': path})}"


def _paths() -> list[str]:
    """Each folder from the top down to where the code goes, without the first "/"."""
    parts = APP_ROOT.strip("/").split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
