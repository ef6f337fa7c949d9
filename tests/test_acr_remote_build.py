"""The output of a remote build."""

from __future__ import annotations

import pytest

from azureml_tasks.engines.acr.remote_build import output_image
from azureml_tasks.engines.acr.tasks_api import OutputImage, Run
from azureml_tasks.errors import RemoteBuildError

DIGEST = "sha256:" + "1" * 64


def image(repository: str, digest: str = DIGEST) -> OutputImage:
    """Return an image that a run reports as pushed."""
    return OutputImage(registry="contoso.azurecr.io", repository=repository, tag="ca8", digest=digest)


def test_the_output_image_is_the_candidate() -> None:
    """Of the images that a run has pushed, the candidate of the repository is taken."""
    other = image("team/other/candidate", "sha256:" + "2" * 64)
    run = Run(
        id="ca8", status="Succeeded", images=(other, image("team/scoring"), image("team/scoring/candidate"))
    )

    assert image("team/scoring/candidate") == output_image(run, "team/scoring")


@pytest.mark.parametrize(
    "images",
    [(), (image("team/scoring"),), (image("team/scoring/candidate", ""),)],
    ids=["none", "other", "no digest"],
)
def test_a_run_that_names_no_candidate(images: tuple[OutputImage, ...]) -> None:
    """A run that succeeded without a candidate that has a digest is an error."""
    with pytest.raises(RemoteBuildError) as caught:
        output_image(Run(id="ca8", status="Succeeded", images=images), "team/scoring")

    expected = """\
Run ca8 succeeded, but ACR names no image that it pushed to team/scoring/candidate.
    Run the same command again.
Nothing was built."""
    assert expected == str(caught.value)
