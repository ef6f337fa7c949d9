"""The entry script of a container that is debugged: it waits for a debugger, and then is the project's own script.

It is only copied into the container of `image.serve --debug`, beside debugpy. The project's script runs under the name
and with the path that it has without a debugger, so that breakpoints, tracebacks and schemas are its own. debugpy's
functions: https://github.com/microsoft/debugpy/wiki/API-Reference.
"""

from __future__ import annotations

import importlib
import os
import sys

PORT, SCRIPT = "AZUREML_IMAGE_DEBUG_PORT", "AZUREML_IMAGE_DEBUG_SCRIPT"
"""Variables: the port to listen at, and the project's script as AZUREML_ENTRY_SCRIPT names it."""


def wait_for_debugger() -> None:
    """Listen at every address of the container, and wait until a debugger has set its breakpoints."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- as the server's own paths
    sys.path.insert(0, folder)
    debugpy = importlib.import_module("debugpy")
    sys.path.remove(folder)
    debugpy.configure({"python": sys.executable, "subProcess": False})
    debugpy.listen(("0.0.0.0", int(os.environ[PORT])))  # noqa: S104 -- published on loopback alone
    print("Waiting for a debugger.", flush=True)  # noqa: T201 -- the container's log
    debugpy.wait_for_client()


def script_path() -> str:
    """Return the path of the project's script, and let AZUREML_ENTRY_SCRIPT name it, as without a debugger."""
    root = os.environ.get("AML_APP_ROOT", os.curdir)
    path = os.path.realpath(os.path.join(root, os.environ[SCRIPT]))  # noqa: PTH118 -- as the server joins them
    os.environ["AZUREML_ENTRY_SCRIPT"] = path
    return path


if __name__ == "entry_module":  # As azureml-inference-server-http 1.5.1 loads it (server/user_script.py).
    wait_for_debugger()
    __file__ = script_path()
    with open(__file__, "rb") as file:  # noqa: PTH123 -- the script's own names follow, and Path would be one
        source = file.read()
    exec(compile(source, __file__, "exec", dont_inherit=True))  # noqa: S102 -- it is what the server would run
