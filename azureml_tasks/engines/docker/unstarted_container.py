"""Files of an image, read from a container that is never started: nothing of the image runs."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.engines.docker.leftovers import LABEL, container_name, tracked_run
from azureml_tasks.engines.finish_call import finish_call
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter


class Archive(NamedTuple):
    """A file of the image.

    Args:
        blocks: of the tar archive that holds it.
        status: what the engine says of it, such as `linkTarget`.
    """

    blocks: Iterator[bytes]
    status: Mapping[str, object]


class UnstartedContainer(NamedTuple):
    """A container of the image, which is not started.

    Args:
        name: of the container.
        client: the engine.
        archives: closes what was read before the container is removed, which the engine else refuses.
    """

    name: str
    client: EngineClient
    archives: ExitStack

    def read(self, path: str) -> Archive | None:
        """Return the file at *path*; None if there is none.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerArchive
        """
        from docker.errors import NotFound

        try:
            with reading_answers():
                blocks, status = self.client.sdk.api.get_archive(self.name, path)
        except NotFound:
            return None
        self.archives.callback(blocks.close)
        return Archive(blocks, status)


@contextmanager
def unstarted_container(
    client: EngineClient, image_id: str, records: Path, reporter: Reporter
) -> Iterator[UnstartedContainer]:
    """Yield a container of the image with the ID *image_id*; it is removed after the block.

    Args:
        client: the engine.
        image_id: of the image.
        records: folder of the project's records, which note the container.
        reporter: says what is left.
    """
    with tracked_run(client, records, reporter) as run:
        name = container_name(run)
        run.note(Thing("container", name))
        create = partial(
            client.sdk.api.create_container,
            image_id,
            command=["true"],
            entrypoint=[],
            name=name,
            labels={LABEL: run.id},
        )
        with reading_answers():
            finish_call(create)
        with ExitStack() as archives:
            yield UnstartedContainer(name, client, archives)
