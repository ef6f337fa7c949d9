"""What is made before any engine: the Dockerfile, and the build context as an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands.image_runs import for_all, planned_runs
from azureml_tasks.commands.run_context import refuse_foreign_records
from azureml_tasks.commands.run_plan import plan_image, planned_image
from azureml_tasks.config.problems import FILE
from azureml_tasks.context.tar_archive import archive, archive_of
from azureml_tasks.errors import FileProblem, Problem, SettingsError
from azureml_tasks.planning.dockerfile import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.commands.run_context import RunContext

_BUILDERS = ("any", "buildkit")


class ContextArchive(NamedTuple):
    """The build context with its Dockerfile as a tar archive.

    Args:
        blocks: of the archive, in order; a file that changes while it is read raises `BuildError`.
        size: bytes of the files in it.
    """

    blocks: Iterator[bytes]
    size: int


class DockerfileText(NamedTuple):
    """The text of a Dockerfile, and whether the project has written it itself."""

    text: str
    is_own: bool


def dockerfile_texts(
    run: RunContext, builder: str, *, flags: Sequence[str] = ()
) -> dict[str, DockerfileText]:
    """Return the Dockerfile of each image, by the image's name, or by "" if the table itself is the image.

    Args:
        run: the run.
        builder: that the text is for: "any", "buildkit", or "" for any; a Dockerfile of the project's own is as it is.
        flags: that are for one image.

    Raises:
        SettingsError: there is no such builder, or the table is wrong.
    """
    if builder and builder not in _BUILDERS:
        what = f'is "{builder}", which is not a builder'
        raise SettingsError([Problem("--builder", 0, what, f"Builders: {', '.join(_BUILDERS)}.")])
    runs = planned_runs(run, uses=("base",), flags=flags)
    texts = for_all(runs, lambda each: _dockerfile_text(each, builder))
    return {each.image: text for each, text in zip(runs, texts, strict=True)}


def _dockerfile_text(run: RunContext, builder: str) -> DockerfileText:
    refuse_foreign_records(run)
    planned = planned_image(run, run.file_hashes())
    if planned.mounted:
        what = 'has delivery = "mount", which builds no image, so there is no Dockerfile'
        raise SettingsError([FileProblem(FILE, 0, what, "invoke image.check")])
    return DockerfileText(
        text=render(planned, mounts=builder == "buildkit"), is_own=planned.own_dockerfile is not None
    )


def context_archive(run: RunContext) -> ContextArchive:
    """Return the archive that every engine gets; for the engine acr with the files of the smoke test in the cloud.

    Raises:
        SettingsError: the table or a file that it names is wrong, or the table has several images, and none is named.
    """
    (run,) = planned_runs(run, uses=("base",), flags=("context",))
    planned, context = plan_image(run)
    if run.engine == "acr":
        from azureml_tasks.engines.acr.build_pieces import whole_image
        from azureml_tasks.engines.acr.cloud_smoke_test import smoke_test_files
        from azureml_tasks.engines.acr.task_file import without_secrets

        if planned.own_dockerfile:
            own = whole_image(planned, context).context_files
            return ContextArchive(
                blocks=archive_of((*own, *smoke_test_files(planned.smoke_test))), size=context.size
            )
        files = (*context.files, *smoke_test_files(planned.smoke_test))
        context = context._replace(files=(*files, without_secrets()) if planned.secrets else files)
    return ContextArchive(blocks=archive(context), size=context.size)
