"""The layers of an image, as the engine's history tells them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.planning.plan import APP_ROOT, MODEL_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHELL = "/bin/sh -c "
_NOP = "#(nop)"
_LABELS = (
    "LABEL",
    "ENV",
    "USER",
    "CMD",
    "ENTRYPOINT",
    "EXPOSE",
    "ARG",
    "WORKDIR",
    "HEALTHCHECK",
    "VOLUME",
    "STOPSIGNAL",
)


class Layer(NamedTuple):
    """A step of an image's history.

    Args:
        created: when, in seconds since 1970.
        instruction: of the Dockerfile, as the builder wrote it down.
        size: bytes that it added; 0 for a step that adds no file.
    """

    created: int
    instruction: str
    size: int


class Layers(NamedTuple):
    """The layers of an image, the first one first.

    Args:
        base: those of its base; empty if it is not known which ones these are.
        own: those that were built on it.
    """

    base: tuple[Layer, ...]
    own: tuple[Layer, ...]


class EngineImage(NamedTuple):
    """What an engine knows of an image.

    Args:
        created_at: seconds since 1970; 0 if that is not known.
        size: bytes of all layers.
        layers: the first one first.
    """

    created_at: float
    size: int
    layers: tuple[Layer, ...]


def split_layers(image: Sequence[Layer], base: Sequence[Layer]) -> Layers:
    """Return the layers of an image as those of its base and those above.

    Args:
        image: its layers, the first one first.
        base: those of the image that may be its base; empty if none is known.
    """
    count = len(base)
    same = all((a.instruction, a.size) == (b.instruction, b.size) for a, b in zip(image, base, strict=False))
    is_base = 0 < count <= len(image) and same
    return (
        Layers(base=tuple(image[:count]), own=tuple(image[count:])) if is_base else Layers((), tuple(image))
    )


def instruction(layer: Layer) -> str:
    """Return the instruction of the Dockerfile without what builders write around it.

    The legacy builder writes `/bin/sh -c #(nop) COPY dir:HASH in /app/`, BuildKit `COPY code/ /app/ # buildkit`.
    """
    text = layer.instruction.strip()
    # The arguments of the build, such as `|1 NAME=value`.
    text = re.sub(r"^(RUN )?\|\d+ .*?(?=/bin/sh -c )", r"\1", text, flags=re.DOTALL)
    if text.startswith(_SHELL):
        text = text.removeprefix(_SHELL).strip()
        text = text.removeprefix(_NOP).strip() if text.startswith(_NOP) else f"RUN {text}"
    text = text.removesuffix("# buildkit").strip()
    text = re.sub(r'"?\$\{(\w+):\?[^}]*\}([^"\s]*)"?', r"$\1\2", text)
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    text = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", text)
    return " ".join(text.replace(f"RUN {_SHELL}", "RUN ").split())


def title(layer: Layer) -> str:
    """Return what a layer holds, in a word or two: by our own Dockerfile, else by its kind of instruction."""
    text = instruction(layer)
    kind = text.partition(" ")[0].upper()
    if kind == "RUN":
        if "/tmp/azureml-image" in text and "install.py" in text:  # noqa: S108 -- a path in the image
            return "Python packages"
        if "server_environment.sh" in text:
            return "Inference server"
        return "System packages" if re.search(r"\bapt(-get)? ", text) else "Command"
    if kind in {"COPY", "ADD"}:
        target = text.rstrip("/").rpartition(" ")[2]
        if target.startswith(MODEL_DIR):
            return "Model"
        if target.startswith(APP_ROOT):
            return "Code"
        return "Install script" if "azureml-image" in target else "Files"
    return "Settings" if kind in _LABELS else "Layer"
