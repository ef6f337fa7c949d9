"""What the steps of an image's history are called, and which of them are those of its base."""

from __future__ import annotations

import pytest

from azureml_tasks.report.layers import Layer, Layers, instruction, split_layers, title

HASH = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    ("written", "expected", "name"),
    [
        ("COPY code/ /var/azureml-app/ # buildkit", "COPY code/ /var/azureml-app/", "Code"),
        (
            f"/bin/sh -c #(nop) COPY dir:{HASH} in /var/azureml-app/azureml-models/NAME/ ",
            "COPY dir:0123456789ab in /var/azureml-app/azureml-models/NAME/",
            "Model",
        ),
        (
            f"COPY dir:{HASH} in /tmp/azureml-image",
            "COPY dir:0123456789ab in /tmp/azureml-image",
            "Install script",
        ),
        ("COPY dir:0 in ${AML_APP_ROOT:-/var/azureml-app}/", "COPY dir:0 in /var/azureml-app/", "Code"),
        ("COPY a /b", "COPY a /b", "Files"),
        (
            '/bin/sh -c "${ENVIRONMENT:?the base sets no such}/bin/python" /tmp/azureml-image/install.py',
            "RUN $ENVIRONMENT/bin/python /tmp/azureml-image/install.py",
            "Python packages",
        ),
        (
            "RUN /bin/sh -c apt-get update \\\n    && apt-get install --yes curl # buildkit",
            "RUN apt-get update \\ && apt-get install --yes curl",
            "System packages",
        ),
        ("RUN |1 A=b /bin/sh -c make # buildkit", "RUN make", "Command"),
        ("|1 CONTEXT_SHA256=0 /bin/sh -c make", "RUN make", "Command"),
        ("RUN sh /tmp/server_environment.sh", "RUN sh /tmp/server_environment.sh", "Inference server"),
        ("/bin/sh -c #(nop)  USER dockeruser", "USER dockeruser", "Settings"),
        ("", "", "Layer"),
    ],
)
def test_a_step(written: str, expected: str, name: str) -> None:
    """A step is the instruction without what builders write around it, and is named by what it holds."""
    layer = Layer(0, written, 1)

    assert (expected, name) == (instruction(layer), title(layer))


A, B, C = (Layer(0, text, 1) for text in "abc")


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ([A, B], Layers((A, B), (C,))),
        ([A, B, C], Layers((A, B, C), ())),
        ([], Layers((), (A, B, C))),
        ([B], Layers((), (A, B, C))),
        ([A, B, C, A], Layers((), (A, B, C))),
    ],
)
def test_layers_of_the_base(base: list[Layer], expected: Layers) -> None:
    """The first steps are the base's if they are the same as all of its own."""
    assert expected == split_layers([A, B, C], base)
