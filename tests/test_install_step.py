"""The files that the install script gets: the runs of pip, their order, and what each must keep."""

from __future__ import annotations

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.requirements.files import RequirementsTree, read_tree
from azureml_tasks.requirements.install_step import SCRIPTS, PythonStep, python_step

X, Y = "https://example.com/x", "https://example.com/y"


def tree(name: str, text: str) -> RequirementsTree:
    """Return a requirements file without problems."""
    parsed, problems = read_tree(name, {name: text, "limits.txt": "limited<2\n"}.get)
    assert [] == problems
    return parsed


def step(*trees: RequirementsTree, requirements: tuple[str, ...] = (), downloads: bool = False) -> PythonStep:
    """Return the step for these files, in their order, and *requirements* of the table."""
    install = python_step(requirements, trees, lambda path: ContextFile(name=path), downloads=downloads)
    assert install is not None
    return install


def texts(install: PythonStep) -> dict[str, str]:
    """Return the texts of the small files."""
    files = {file.name.removeprefix("python/"): file.data for file in install.files if file.data}
    return {name: data.decode() for name, data in files.items() if name not in SCRIPTS}


PLAIN = tree("plain.txt", "alpha==1.0\n")
TORCH = tree(
    "torch.txt", f"--index-url {X}\n-c limits.txt\ntorch==2.5.1\n./wheels/local_lib-1-py3-none-any.whl\n"
)
VISION = tree("vision.txt", f"-i {X}\nTorch_Vision\n")
OTHER = tree("other.txt", f"--index-url {Y}\nbeta @ https://example.com/b.whl\n")
LOCK = tree("lock.txt", f"six==1.17 --hash=sha256:{'0' * 64}\n")
TORCH_LOCK = tree("torch-lock.txt", f"--index-url {X}\ntorch==2.5.1 --hash=sha256:{'1' * 64}\n")


def test_one_index_is_one_run() -> None:
    """Files without an index and the table share it."""
    install = step(PLAIN, tree("more.txt", f"--extra-index-url {X}\nbeta\n"), requirements=("gamma",))

    assert {"requirements.txt": '-r "project/plain.txt"\n-r "project/more.txt"\ngamma\n'} == texts(install)
    assert not install.mixes_indexes


def test_a_file_with_its_own_index_is_a_run_of_its_own() -> None:
    """In the order of the list; what a file itself names is kept by later runs, and not what only limits versions."""
    install = step(TORCH, PLAIN, requirements=("gamma",))

    expected = {
        "requirements.txt": '-r "project/torch.txt"\n',
        "requirements-2.txt": '-r "project/plain.txt"\ngamma\n',
        "held-2.txt": "torch\nlocal-lib\n",
    }
    assert expected == texts(install)
    assert install.mixes_indexes
    assert (f"torch.txt from {X}", "plain.txt", "gamma") == install.names


def test_neighbours_with_the_same_index_share_a_run() -> None:
    """The table comes last, without an index."""
    install = step(TORCH, VISION, OTHER, requirements=("gamma",))

    expected = {
        "requirements.txt": '-r "project/torch.txt"\n-r "project/vision.txt"\n',
        "requirements-2.txt": '-r "project/other.txt"\n',
        "held-2.txt": "torch\nlocal-lib\ntorch-vision\n",
        "requirements-3.txt": "gamma\n",
        "held-3.txt": "torch\nlocal-lib\ntorch-vision\nbeta\n",
    }
    assert expected == texts(install)


def test_the_order_of_the_list_stays() -> None:
    """Also if the same index comes again."""
    install = step(PLAIN, TORCH, tree("late.txt", "delta\n"))

    runs = {name: text for name, text in texts(install).items() if name.startswith("requirements")}
    expected = {
        "requirements.txt": '-r "project/plain.txt"\n',
        "requirements-2.txt": '-r "project/torch.txt"\n',
        "requirements-3.txt": '-r "project/late.txt"\n',
    }
    assert expected == runs


def test_files_with_hashes_come_first_in_runs_of_their_own() -> None:
    """Each with its index; what they pin limits the others."""
    install = step(PLAIN, TORCH_LOCK, LOCK)

    expected = {
        "hashed.txt": '-r "project/torch-lock.txt"\n',
        "hashed-2.txt": '-r "project/lock.txt"\n',
        "pinned.txt": "six==1.17\ntorch==2.5.1\n",
        "requirements.txt": '-r "project/plain.txt"\n',
    }
    assert expected == texts(install)


def test_each_run_that_downloads_has_its_own_indexes() -> None:
    """They hold for the packages of that run alone."""
    install = step(TORCH, PLAIN, downloads=True)

    finding = {name: text for name, text in texts(install).items() if name.startswith("finding")}
    assert {"finding.txt": f"--index-url {X}\n"} == finding


def test_the_recorded_lines_say_from_which_index() -> None:
    """Another index for the same requirement is another requirement."""
    lines = step(VISION).lines

    assert (f"-i {X} # {X}", f"Torch_Vision # {X}") == lines
