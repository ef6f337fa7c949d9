"""The flags of the tasks, each declared once: its help, and how many values it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Flag(NamedTuple):
    """A flag of one or more tasks.

    Args:
        help: what `invoke --help` says.
        is_switch: whether it takes no value.
        is_repeated: whether it may be given several times.
    """

    help: str
    is_switch: bool = False
    is_repeated: bool = False


FLAGS: Mapping[str, Flag] = {
    "allow-source-builds": Flag(
        "let packages without a wheel be built while secrets are mounted: their code can read the secrets",
        is_switch=True,
    ),
    "as-root": Flag("be root, instead of the image's user", is_switch=True),
    "base": Flag("image to extend, instead of the table's"),
    "builder": Flag("builder that the text is for: any (default) or buildkit"),
    "build": Flag("build the image first", is_switch=True),
    "debug": Flag("port for a debugger, for which the entry script waits"),
    "deployment": Flag("print a managed online deployment of that environment instead", is_switch=True),
    "endpoint": Flag("name of the deployment's endpoint"),
    "engine": Flag(
        "engine that builds: docker, acr (Azure Container Registry) or auto (docker if it answers, else acr)"
    ),
    "fix": Flag("run the commands that are harmless and change this machine alone", is_switch=True),
    "from": Flag(
        "file to read, relative to the current folder; may be repeated; default: what is in the project's folder",
        is_repeated=True,
    ),
    "image": Flag("one of the table's images; default: all, in order"),
    "instance-type": Flag("VM size of the deployment, such as Standard_DS3_v2"),
    "json": Flag("print one JSON object on stdout, and all else on stderr", is_switch=True),
    "junit": Flag("write the report to this file as JUnit XML"),
    "keep-dockerfile": Flag(
        "let the table name the Dockerfile, and say nothing in its place", is_switch=True
    ),
    "name": Flag("name of the environment, instead of the image's"),
    "no-cache": Flag("build every step again", is_switch=True),
    "no-wait": Flag("start a remote build and do not wait; the task resume finishes it", is_switch=True),
    "output": Flag("write to this file instead of stdout"),
    "port": Flag("port of this machine for the server; default: 5001"),
    "project": Flag("folder of the project, relative to the current folder"),
    "prune": Flag("remove cached layers that the project no longer uses", is_switch=True),
    "pull": Flag("pull a newer base first", is_switch=True),
    "registry": Flag("login server, instead of the table's"),
    "root": Flag("folder above the project that its files must be in, relative to the current folder"),
    "run": Flag("ID of the run; default: the last one started here"),
    "secret": Flag(
        "where a secret that the table wants is: netrc=FILE, netrc=env:VARIABLE or netrc=default; may be repeated",
        is_repeated=True,
    ),
    "tag": Flag("tag instead of the table's, as --tag=TAG; may be repeated", is_repeated=True),
    "untested": Flag("push although the image has not passed its smoke test", is_switch=True),
    "verbose": Flag(
        "say more: all that builders print, and which builder runs the steps and why", is_switch=True
    ),
}
"""Every flag by its name, without the dashes."""
