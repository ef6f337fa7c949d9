"""Install the project's packages in a container of the base, and collect what is new in a folder.

`install.py` installs them next to the inference server, with the same checks as in an image. Then the files of every
package that was added, or has another version now, are copied to `packages/` beside this script. The folder comes
before the environment's own packages on PYTHONPATH, so it needs no more than that. It runs as root under the
environment's own Python, and uses the standard library and the scripts beside it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from azureml_tasks.in_image import environment, install
else:  # In the container, the scripts are in no package.
    sys.dont_write_bytecode = True
    import environment
    import install

PACKAGES = environment.HERE / "packages"


def collect(before: dict[str, str], target: Path) -> list[str]:
    """Copy the files of new packages to *target* and return their names with versions.

    Scripts of `bin/` and other files outside of the folder of the packages stay behind: no server needs them.

    Args:
        before: version of each package of the base by its name.
        target: is created.
    """
    target.mkdir()
    names = []
    for name, (version, package) in sorted(environment.distributions().items()):
        if before.get(name) == version:
            continue
        names.append(f"{name} {version}")
        for file in package.files or []:
            path = PurePosixPath(str(file))
            source = Path(str(file.locate()))
            if (
                path.is_absolute()
                or ".." in path.parts
                or "__pycache__" in path.parts
                or not source.is_file()
            ):
                continue
            copy = target / str(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(source), str(copy))
            if source.stat().st_mode & 0o100:
                copy.chmod(0o755)
    return names


def main() -> int:
    """Install, collect, and return 0, or return 1 after install.py has printed why not."""
    if not environment.LISTS_PACKAGES:
        environment.say("The base's Python is older than 3.8, which cannot list the files of packages.")
        return 1
    before = environment.installed()
    code = install.main()
    if code:
        return code
    names = collect(before, PACKAGES)
    environment.say(f"In the folder of packages: {', '.join(names) or 'none, the base has all of them'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
