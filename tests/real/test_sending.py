"""A model of any size goes to ACR's storage in little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine import azurite, sending
from tests.machine.acr.azure_state import Settings
from tests.machine.acr.storage import Storage

if TYPE_CHECKING:
    from pathlib import Path

MODEL = 200 * 10**6  # bytes


def test_a_large_model_is_sent_in_little_memory(tmp_path: Path) -> None:
    """A process that reads, packs and sends 200 MB never has 100 MB, and what arrives is all of it."""
    folder = sending.project(tmp_path / "project", MODEL)
    with azurite.running() as emulator:
        store = Storage(azurite=emulator, url=f"http://{emulator.host}", settings=Settings())
        store.prepare()
        path = store.new_source()
        sent = sending.sent_by_us(folder, store.to_upload(path))
        with store.blob(path) as blob:
            size = blob.get_blob_properties().size

    assert sent.memory < 100 * 10**6
    assert size > (folder / "model" / "weights.bin").stat().st_size
