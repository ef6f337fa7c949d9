"""Microsoft's own clients of Azure, `az` and the Python SDK, in an environment of their own.

They bring an old `invoke` and much else along, so nothing of them may enter `.venv`.
"""

from __future__ import annotations

from pathlib import Path

from tests.machine import venv

__all__ = ["ensure"]

_CLI = "2.91.0"
_PACKAGES = (
    f"azure-cli-core=={_CLI}",
    "azure-identity==1.27.0",
    "azure-mgmt-containerregistry==15.1.0b3",
    "azure-mgmt-containerregistrytasks==1.0.0b1",
    "azure-mgmt-resource==24.0.0",
    "azure-storage-blob==12.29.0b1",
    # What the command modules import and azure-cli itself would have brought.
    *("azure-common==1.1.28", "colorama==0.4.6", "isodate==0.7.2", "msrest==0.7.1", "six==1.17.0"),
    "tabulate==0.10.0",
)


def ensure() -> Path:
    """Install `az` and the SDK below `.machine`, once.

    Of the 200 packages of azure-cli only those are installed that `az acr` imports.

    Returns:
        The interpreter that has both. `az` is its module azure.cli: the first line of the script `az` names the
        interpreter's path, which may hold a blank.

    Raises:
        NotPossibleError: pip cannot install them; the words end with what it said.
    """
    return venv.apart(f"azure-cli=={_CLI}", _PACKAGES)
