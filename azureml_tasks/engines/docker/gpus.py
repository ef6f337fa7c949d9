"""GPUs for a container, as `docker run --gpus` asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.answers import member
from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from docker.types import DeviceRequest

    from azureml_tasks.engines.docker.client import EngineClient

_DEVICES = "device="
_ALL = -1
"""https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate"""
_TOOLKIT = (
    "Install the NVIDIA Container Toolkit on the engine's machine:\n"
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html\n"
    "then: sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
)
_WITHOUT = "or, to test without a GPU, remove smoke-test.gpus"


def device_requests(client: EngineClient, gpus: str) -> list[DeviceRequest]:
    """Return what to create a container with; empty for no GPUs.

    Args:
        client: the engine.
        gpus: "all", a number, or `device=` and the IDs of devices; "" for none.

    Raises:
        EngineError: the engine is Podman's, whose API takes the request and ignores it
            (https://github.com/containers/podman/issues/22645).
    """
    from docker.types import DeviceRequest

    if not gpus:
        return []
    if client.is_podman:
        what = f"Podman's engine at {client.host} gives containers no GPU by the API that this command uses."
        raise EngineError(what, next_step=f"Run the smoke test on a Docker engine\n{_WITHOUT}")
    if gpus.startswith(_DEVICES):
        return [DeviceRequest(device_ids=gpus.removeprefix(_DEVICES).split(","), capabilities=[["gpu"]])]
    return [DeviceRequest(count=_ALL if gpus == "all" else int(gpus), capabilities=[["gpu"]])]


def start_error(client: EngineClient, gpus: str, message: str) -> EngineError:
    """Return the error for a container that the engine could not start with GPUs.

    Args:
        client: the engine.
        gpus: of the container.
        message: what the engine said.
    """
    said = f"docker said: {clean(message)}"
    with reading_answers():
        about = client.sdk.info()
    # The toolkit adds the runtime; newer engines list the devices that a specification of it describes.
    if "nvidia" in (member(about, "Runtimes", dict) or {}) or member(about, "DiscoveredDevices", list):
        what = f'The engine at {client.host} could not run the image with gpus = "{gpus}".'
        return EngineError(what, next_step="Look at its GPUs: nvidia-smi", said=said)
    what = f"The engine at {client.host} has no GPU for containers."
    return EngineError(what, next_step=f"{_TOOLKIT}\n{_WITHOUT}", said=said)
