"""The files of a project that are copied: links, secrets, large files, virtual environments, odd names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.context import file_hashes
from tests.cases import lay_out
from tests.context_members import SCRIPT, members, project_with, refusal

if TYPE_CHECKING:
    pass

PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMII\n"


# Links

KEPT = {
    "a file beside": ({"code/a": "1"}, {"code/l": "a"}, ["file code/a 1", "link code/l -> a"]),
    "a file above": (
        {"code/a": "1", "code/sub/b": ""},
        {"code/sub/l": "../a"},
        ["file code/a 1", "folder code/sub/", "file code/sub/b 0", "link code/sub/l -> ../a"],
    ),
    "a folder": (
        {"code/v1/a": "1"},
        {"code/latest": "v1"},
        ["link code/latest -> v1", "folder code/v1/", "file code/v1/a 1"],
    ),
    "a link to a link": (
        {"code/a": "1"},
        {"code/b": "a", "code/c": "b"},
        ["file code/a 1", "link code/b -> a", "link code/c -> b"],
    ),
    "the folder around it": (
        {"code/sub/a": ""},
        {"code/sub/up": ".."},
        ["folder code/sub/", "file code/sub/a 0", "link code/sub/up -> .."],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_a_link_inside_the_copied_folder_is_kept(case: str, tmp_path: Path) -> None:
    """It has the same text and the same target in the image."""
    files, links, expected = KEPT[case]

    assert expected == members(project_with(tmp_path, files=files, links=links))


def test_an_absolute_link_inside_the_copied_folder_becomes_a_relative_one(tmp_path: Path) -> None:
    """The image has the file in another folder."""
    folder = project_with(
        tmp_path, files={"code/a": "1", "code/sub/b": ""}, links={"code/sub/l": str(tmp_path / "code/a")}
    )

    assert ["file code/a 1", "folder code/sub/", "file code/sub/b 0", "link code/sub/l -> ../a"] == members(
        folder
    )


def test_a_link_through_the_name_of_the_copied_folder_becomes_shorter(tmp_path: Path) -> None:
    """The folder has another name in the image."""
    folder = project_with(
        tmp_path,
        table='code = "src"\n',
        files={"src/score.py": SCRIPT, "src/a": "1"},
        links={"src/l": "../src/a"},
    )

    assert ["file code/a 1", "link code/l -> a"] == members(folder)


def test_a_link_to_elsewhere_in_the_project_becomes_a_copy(tmp_path: Path) -> None:
    """The copy of a folder has its files, as far as they are not excluded, their modes, and its links."""
    folder = project_with(
        tmp_path,
        table='exclude = ["code/shared/gone"]\n',
        files={"LICENSE": "free\n", "shared/a": "1", "shared/gone": "", "shared/tool": "#!", "more/b": "12"},
        links={
            "code/LICENSE": "../LICENSE",
            "code/shared": "../shared",
            "shared/more": "../more",
            "shared/same": "a",
            "shared/back": "../code/score.py",
        },
    )
    (folder / "shared/tool").chmod(0o755)

    actual = members(folder)

    assert actual == [
        "file code/LICENSE 5",
        "folder code/shared/",
        "file code/shared/a 1",
        "link code/shared/back -> ../score.py",
        "folder code/shared/more/",
        "file code/shared/more/b 2",
        "file code/shared/same 1",
        "program code/shared/tool 2",
    ]


def test_a_link_to_a_path_of_another_key_becomes_a_copy(tmp_path: Path) -> None:
    """The model is left out of the code, so a link to it would have no target."""
    folder = project_with(
        tmp_path,
        table='code = "."\nmodel = "model"\nentry-script = "code/score.py"\n',
        files={"model/m.bin": "weights"},
        links={"latest": "model/m.bin", "all": "model"},
    )

    actual = members(folder)

    assert actual == [
        "folder code/all/",
        "file code/all/m.bin 7",
        "folder code/code/",
        f"file code/code/score.py {len(SCRIPT)}",
        "file code/latest 7",
        "folder model/",
        "file model/m.bin 7",
    ]


FIX = 'Copy what it points at into the project, or leave it out: exclude = ["code/a", "code/l"]'
REFUSED = {
    "leaving": (
        {},
        {"code/l": "../../outside"},
        "code/l is a link to ../../outside, which leaves the project",
    ),
    "leaving for a folder": ({}, {"code/l": "../.."}, "code/l is a link to ../.., which leaves the project"),
    "dangling": ({}, {"code/l": "nowhere"}, "code/l is a link to nowhere, which does not exist"),
    "itself": ({}, {"code/l": "l"}, "code/l is a link to l, which leads in a circle"),
    "the project": ({}, {"code/l": ".."}, "code/l is a link to .., which leads in a circle"),
    "excluded": (
        {"code/a": ""},
        {"code/l": "a"},
        'code/l is a link to code/a, which "code/a" (pyproject.toml:6) excludes',
    ),
    "excluded by default": (
        {"code/__pycache__/a": ""},
        {"code/l": "__pycache__/a"},
        'code/l is a link to code/__pycache__/a, which "**/__pycache__" (built-in default) excludes',
    ),
    "virtual environment": (
        {"code/env/pyvenv.cfg": "", "code/env/bin/python": ""},
        {"code/l": "env/bin/python"},
        "code/l is a link to code/env/bin/python, into a virtual environment",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_link_that_would_dangle_in_the_image_is_refused(case: str, tmp_path: Path) -> None:
    """The error names the target and the reason."""
    files, links, problem = REFUSED[case]
    (tmp_path / "outside").touch()
    folder = project_with(tmp_path / "project", table='exclude = ["code/a"]\n', files=files, links=links)

    assert f"pyproject.toml:4: {problem}\n    {FIX}" == refusal(folder)


def test_two_links_to_each_other_are_refused(tmp_path: Path) -> None:
    """The error names both."""
    folder = project_with(tmp_path, links={"code/a": "b", "code/b": "a"})

    fix = 'Copy what it points at into the project, or leave it out: exclude = ["code/{}"]'
    expected = [
        f"pyproject.toml:4: code/{one} is a link to {other}, which leads in a circle\n    {fix.format(one)}"
        for one, other in ("ab", "ba")
    ]
    assert "\n\n".join(expected) == refusal(folder)


def test_folders_that_hold_links_to_each_other_are_refused(tmp_path: Path) -> None:
    """Copying their targets would never end."""
    folder = project_with(
        tmp_path,
        files={"a/1": "", "b/2": ""},
        links={"code/l": "../a", "a/to-b": "../b", "b/to-a": "../a"},
    )

    expected = (
        "pyproject.toml:4: code/l/to-b/to-a is a link to ../a, which leads in a circle\n"
        '    Copy what it points at into the project, or leave it out: exclude = ["code/l/to-b/to-a"]'
    )
    assert expected == refusal(folder)


@pytest.mark.parametrize(
    ("table", "link", "line"),
    [
        ('code = "elsewhere"\n', "elsewhere", "tool.azureml-image.code"),
        ('model = "elsewhere"\n', "elsewhere", "tool.azureml-image.model"),
        ('requirements = "elsewhere/requirements.txt"\n', "elsewhere", "tool.azureml-image.requirements"),
    ],
)
def test_a_path_that_leaves_the_project_through_a_link_is_refused(
    table: str, link: str, line: str, tmp_path: Path
) -> None:
    """No key copies files from outside of the project."""
    lay_out({"outside/requirements.txt": "numpy\n", "outside/score.py": SCRIPT}, tmp_path)
    folder = project_with(tmp_path / "project", table=table, links={link: "../outside"})

    value = table.split('"')[1]
    expected = f'pyproject.toml:6: {line} is "{value}", a link that leaves the project\n    Copy it into the project.'
    assert expected == refusal(folder)


def test_a_wheel_that_leaves_the_project_through_a_link_is_refused(tmp_path: Path) -> None:
    """A requirements file copies none either."""
    wheel = "alpha-1.0-py3-none-any.whl"
    (tmp_path / wheel).write_text("PK\n", encoding="utf-8")
    folder = project_with(
        tmp_path / "project",
        table='requirements = "requirements.txt"\n',
        files={"requirements.txt": f"./{wheel}\n"},
        links={wheel: f"../{wheel}"},
    )

    expected = (
        f"pyproject.toml:6: requirements.txt names the wheel {wheel}, a link that leaves the project\n"
        "    Copy it into the project."
    )
    assert expected == refusal(folder)


def test_a_code_folder_that_is_a_link(tmp_path: Path) -> None:
    """Patterns and messages use the name in the table."""
    folder = project_with(
        tmp_path,
        table='code = "current"\nexclude = ["current/gone"]\n',
        files={"v1/score.py": SCRIPT, "v1/a": "1", "v1/gone": ""},
        links={"current": "v1", "v1/l": "a"},
    )

    assert ["file code/a 1", "link code/l -> a"] == members(folder)


# Neither file nor folder


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """Reading it would never end. If it is excluded, the project is right."""
    folder = project_with(tmp_path)
    os.mkfifo(folder / "code/pipe")

    error = refusal(folder)
    _table(folder, 'exclude = ["code/pipe"]\n')

    expected = (
        "pyproject.toml:4: code/pipe is neither a file nor a folder nor a link\n"
        '    Leave it out: exclude = ["code/pipe"]'
    )
    assert (expected, []) == (error, members(folder))


def test_a_link_to_a_pipe_is_refused(tmp_path: Path) -> None:
    """There would be nothing to copy."""
    folder = project_with(tmp_path, links={"code/l": "../pipe"})
    os.mkfifo(folder / "pipe")

    expected = (
        "pyproject.toml:4: code/l is neither a file nor a folder nor a link\n"
        '    Leave it out: exclude = ["code/l"]'
    )
    assert expected == refusal(folder)


def test_a_file_that_the_user_cannot_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes before anything is built. A fault stands in for the mode, which root ignores."""
    folder = project_with(tmp_path, files={"code/private": ""})

    def refusing(path: str, *arguments: Any, **keywords: Any) -> Any:
        """Open a file, but not a private one."""
        if path.endswith("private"):
            raise PermissionError(path)
        return open(path, *arguments, **keywords)  # noqa: PTH123 -- it stands in for open() itself

    monkeypatch.setattr(file_hashes, "open", refusing, raising=False)

    assert "pyproject.toml:4: code/private cannot be read by you\n    chmod u+r 'code/private'" == refusal(
        folder
    )


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_name_that_is_not_utf_8_is_refused(kind: str, tmp_path: Path) -> None:
    """An archive's names are UTF-8; what is excluded may be called anything."""
    folder = project_with(tmp_path)
    path = os.fsencode(folder) + b"/code/caf\xe9"
    if kind == "folder":
        Path(os.fsdecode(path)).mkdir()
    elif kind == "link":
        Path(os.fsdecode(path)).symlink_to("score.py")
    else:
        Path(os.fsdecode(path)).touch()

    error = refusal(folder)
    _table(folder, 'exclude = ["code/caf?"]\n')

    expected = r"""pyproject.toml:4: 'code/caf\udce9' has a name that is not UTF-8""" + "\n    Rename it."
    assert (expected, []) == (error, members(folder))


def test_a_link_to_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """Neither the file nor a link to it can be named in the context."""
    folder = project_with(tmp_path)
    Path(os.fsdecode(os.fsencode(folder) + b"/code/caf\xe9")).touch()
    (folder / "code/l").symlink_to(os.fsdecode(b"caf\xe9"))

    expected = (
        r"pyproject.toml:4: 'code/caf\udce9' has a name that is not UTF-8" + "\n    Rename it.\n\n"
        r"pyproject.toml:4: code/l is a link to 'caf\udce9', a name that is not UTF-8" + "\n    Rename it."
    )
    assert expected == refusal(folder)


def _table(folder: Path, more: str) -> None:
    file = folder / "pyproject.toml"
    file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")


# Large files


def test_a_large_file_under_code_is_refused(tmp_path: Path) -> None:
    """A file of more than 100 MB is a model in the wrong place; the error has two ways out."""
    folder = project_with(tmp_path)
    _sparse(folder / "code/big.bin", 100_000_001)
    _sparse(folder / "code/just.bin", 100_000_000)

    expected = (
        "pyproject.toml:4: code/big.bin has 100 MB; the limit for a file under code is 100 MB\n"
        '    Move it into the folder of `model`, or leave it out: exclude = ["code/big.bin"]'
    )
    assert expected == refusal(folder)


@pytest.mark.parametrize("how", ["excluded", "brought back", "in the model"])
def test_each_way_out_works(how: str, tmp_path: Path) -> None:
    """The file is excluded, allowed by its name, or in the folder of the model."""
    tables = {
        "excluded": 'exclude = ["code/big.bin"]\n',
        "brought back": 'exclude = ["!code/big.bin"]\n',
        "in the model": 'model = "code/model"\n',
    }
    where = "code/model/big.bin" if how == "in the model" else "code/big.bin"
    folder = project_with(tmp_path, table=tables[how])
    _sparse(folder / where, 100_000_001)

    expected = {
        "excluded": [],
        "brought back": ["file code/big.bin 100000001"],
        "in the model": ["folder model/", "file model/big.bin 100000001"],
    }
    assert expected[how] == members(folder)


def _sparse(path: Path, size: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


# Secrets

BY_NAME = (
    ".env", ".env.prod", ".envrc", ".netrc", "_netrc", ".pypirc", ".git-credentials", ".dockercfg",
    ".htpasswd", "id_rsa", "id_dsa",
    "id_ecdsa", "id_ed25519", "a.pfx", "a.p12", "a.keystore", "a.ppk", ".aws/credentials",
    ".azure/accessTokens.json",
    ".azure/msal_token_cache.bin", ".azure/service_principal_entries.json",
    ".config/gcloud/application_default_credentials.json",
    ".docker/config.json", ".kube/config", ".ssh/known_hosts", ".databrickscfg",
)  # fmt: skip
BY_CONTENT = {
    "PKCS 8": PRIVATE_KEY,
    "RSA": "-----BEGIN RSA PRIVATE KEY-----\n",
    "EC behind other text": "# key\n-----BEGIN EC PRIVATE KEY-----\n",
    "OpenSSH": "-----BEGIN OPENSSH PRIVATE KEY-----\n",
    "encrypted": "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
    "service account": '{\n  "type" : "service_account"\n}',
    "key in JSON": '{"private_key": "-----BEGIN PRIVATE KEY-----\\nMII"}',
}
HARMLESS = {
    ".env.example": "A=\n",
    ".env.sample": "",
    ".env.template": "",
    ".env.dist": "",
    "id_rsa.pub": "ssh-rsa AAAA\n",
    "cert.pem": "-----BEGIN CERTIFICATE-----\n",
    "public.pem": "-----BEGIN PUBLIC KEY-----\n",
    "environment": "",
    "keys.py": 'HEAD = "-----BEGIN PRIVATE KEY-----"\n',
    "credentials": "",
    "config": "",
}


@pytest.mark.parametrize("key", ["code", "model"])
@pytest.mark.parametrize("name", BY_NAME)
def test_a_secret_is_refused_by_its_name(name: str, key: str, tmp_path: Path) -> None:
    """So it is in the code and in the model; the error has the patterns that leave it out or allow it."""
    folder = project_with(
        tmp_path, table='model = "model"\n', files={"model/m.bin": "", f"{key}/sub/{name}": "x"}
    )

    assert _secret(f"{key}/sub/{name}", line=6 if key == "model" else 4) == refusal(folder)


@pytest.mark.parametrize("case", BY_CONTENT)
def test_a_secret_is_refused_by_its_content(case: str, tmp_path: Path) -> None:
    """Private keys and service accounts are found under every name."""
    folder = project_with(tmp_path, files={"code/notes.txt": BY_CONTENT[case]})

    assert _secret("code/notes.txt") == refusal(folder)


def test_a_secret_behind_a_link_is_refused(tmp_path: Path) -> None:
    """The target of a link is checked by its own name too."""
    folder = project_with(tmp_path, files={".env": "A=1\n"}, links={"code/settings": "../.env"})

    assert _secret("code/settings") == refusal(folder)


def test_a_file_that_is_no_secret_is_copied(tmp_path: Path) -> None:
    """Examples, public keys, certificates and code that contains the words are no secrets."""
    folder = project_with(tmp_path, files={f"code/{name}": text for name, text in HARMLESS.items()})

    assert sorted(f"file code/{name} {len(text)}" for name, text in HARMLESS.items()) == sorted(
        members(folder)
    )


@pytest.mark.parametrize("where", ["exclude", ".dockerignore"])
def test_a_secret_can_be_allowed_and_left_out(where: str, tmp_path: Path) -> None:
    """`!path` allows it and `path` excludes it, in either place."""
    patterns = ["!code/.env", "code/key.txt"]
    table = f"exclude = {patterns}\n" if where == "exclude" else ""
    files = {"code/.env": "A=1\n", "code/key.txt": PRIVATE_KEY}
    folder = project_with(
        tmp_path, table=table, files={**files, **({} if table else {".dockerignore": "\n".join(patterns)})}
    )

    assert ["file code/.env 4"] == members(folder)


def _secret(path: str, *, line: int = 4) -> str:
    return (
        f"pyproject.toml:{line}: {path} looks like a secret, which would stay in the image\n"
        f'    Leave it out: exclude = ["{path}"]\n    Or allow it: exclude = ["!{path}"]'
    )


def test_a_path_with_a_line_break(tmp_path: Path) -> None:
    """It takes one line as an escape, and the line to paste is TOML that means the file."""
    files = {"code/a\nb.pfx": ""}

    assert _secret(r"code/a\nb.pfx") == refusal(project_with(tmp_path, files=files))
    assert [] == members(project_with(tmp_path, table='exclude = ["code/a\\nb.pfx"]\n'))


# Exclusion


def test_files_that_no_image_needs_are_excluded_by_default(tmp_path: Path) -> None:
    """They are those of version control, virtual environments, caches, bytecode and editors, at every depth."""
    gone = (
        ".git/config", ".hg/a", ".svn/a", ".bzr/a", ".venv/a", "venv/a", ".direnv/a", "__pycache__/a",
        "a.pyc", "a.pyo", ".mypy_cache/a",
        ".pytest_cache/a", ".ruff_cache/a", ".tox/a", ".nox/a", ".ipynb_checkpoints/a", ".DS_Store",
        ".#new.py", "#score.py#", "score.py~", ".score.py.swp", ".score.py.swo", ".score.py.un~", ".idea/a",
        ".vscode/a", ".vs/a", ".nfs000000000a1b2c3d00000001", ".fuse_hidden0000000100000002",
    )  # fmt: skip
    folder = project_with(tmp_path, files={f"code/{sub}{name}": "" for name in gone for sub in ("", "sub/")})

    assert ["folder code/sub/"] == members(folder)


def test_the_lock_file_of_emacs_is_no_broken_link(tmp_path: Path) -> None:
    """It is a link to a name that does not exist; Emacs makes it while a file is edited."""
    folder = project_with(tmp_path, links={"code/.#score.py": "me@host.12345:1700000000"})

    assert [] == members(folder)


def test_files_with_similar_names_are_copied(tmp_path: Path) -> None:
    """Names that only hold the marks of editors are those of the project."""
    names = ["a#b", "a.#b", "a.nfs1", "a~b", "a.swp", "idea", "nfs1"]
    folder = project_with(tmp_path, files={f"code/{name}": "" for name in names})

    assert [f"file code/{name} 0" for name in sorted(names)] == members(folder)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n".format("4d" * 32)


def test_pointers_of_git_lfs_are_refused(tmp_path: Path) -> None:
    """They stand in place of files that were not pulled; one problem for each key names the first."""
    folder = project_with(
        tmp_path,
        table='model = "model"\n\n[tool.azureml-image.smoke-test]\nrequest = "request.json"\n',
        files={
            "code/big.bin": POINTER,
            "model/a": POINTER,
            "model/b": POINTER,
            "model/c": "1",
            "request.json": POINTER,
        },
    )

    expected = """\
pyproject.toml:6: model/a and 1 more are Git LFS pointers, not the files themselves
    git lfs pull

pyproject.toml:9: request.json is a Git LFS pointer, not the file itself
    git lfs pull

pyproject.toml:4: code/big.bin is a Git LFS pointer, not the file itself
    git lfs pull"""
    assert sorted(expected.split("\n\n")) == sorted(refusal(folder).split("\n\n"))


@pytest.mark.parametrize("case", ["model file", "mounted model", "wheel", "expected answer"])
def test_a_pointer_of_git_lfs_is_refused_wherever_a_file_is_needed(case: str, tmp_path: Path) -> None:
    """A model of one file, a model that is mounted, a wheel, and an expected answer."""
    table, name = {
        "model file": ('model = "m.bin"\n', "m.bin"),
        "mounted model": ('[tool.azureml-image.smoke-test]\nmodel = "model"\n', "model/v1/m.bin"),
        "wheel": ('requirements = ["requirements.txt"]\n', "wheels/a-1-py3-none-any.whl"),
        "expected answer": (
            '[[tool.azureml-image.smoke-test.requests]]\nbody = 1\nexpect-file = "answer.json"\n',
            "answer.json",
        ),
    }[case]
    files = {name: POINTER, "requirements.txt": "./wheels/a-1-py3-none-any.whl\n"}

    error = refusal(project_with(tmp_path, table=table, files=files))

    assert error.endswith(f"{name} is a Git LFS pointer, not the file itself\n    git lfs pull")


def test_a_pointer_that_is_brought_back_is_copied(tmp_path: Path) -> None:
    """As for a secret and for a large file, `!path` says that it is meant; longer files are no pointers."""
    folder = project_with(
        tmp_path,
        table='exclude = ["!code/p"]\n',
        files={"code/p": POINTER, "code/long": POINTER + "x" * 1000},
    )

    size = len(POINTER)
    assert [f"file code/long {size + 1000}", f"file code/p {size}"] == members(folder)


@pytest.mark.parametrize("name", ["pyproject.toml", ".dockerignore"])
def test_a_file_of_ours_that_is_a_link_out_of_the_project_is_not_read(name: str, tmp_path: Path) -> None:
    """A message about its content would show a file of this machine to who opened a pull request."""
    (tmp_path / "secret").write_text("[very-secret\n", encoding="utf-8")
    folder = project_with(tmp_path / "project")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret")

    assert f"{name}: is a link that leaves the project\n    Copy it into the project." == refusal(folder)


def test_a_mounted_model_is_not_read_out_of_the_project(tmp_path: Path) -> None:
    """A link in it that leaves the project would point nowhere in the container."""
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    table = '[tool.azureml-image.smoke-test]\nmodel = "model"\n'
    links = {"model/link": str(tmp_path / "secret"), "model/same": "m.bin"}
    folder = project_with(tmp_path / "project", table=table, files={"model/m.bin": "1"}, links=links)

    expected = (
        f"pyproject.toml:7: model/link is a link to {tmp_path / 'secret'}, which leaves the project\n"
        "    Copy what it points at into the project."
    )
    assert expected == refusal(folder)


def test_a_virtual_environment_is_recognized_by_its_configuration(tmp_path: Path) -> None:
    """It is left out under every name, unless a pattern brings it back."""
    files = {"code/env/pyvenv.cfg": "", "code/env/bin/python": "", "code/kept/pyvenv.cfg": ""}
    folder = project_with(tmp_path, table='exclude = ["!code/kept"]\n', files=files)

    assert ["folder code/kept/", "file code/kept/pyvenv.cfg 0"] == members(folder)


def test_the_project_as_code_leaves_out_files_of_the_build(tmp_path: Path) -> None:
    """With `code = "."`, the model, our records, pyproject.toml and tasks.py of the project are not copied."""
    files = {
        ".azureml-image/build.json": "", "tasks.py": "", "model/m.bin": "", "lib/tasks.py": "",
        "lib/pyproject.toml": "", "lib/model/a": "",
    }  # fmt: skip
    folder = project_with(
        tmp_path, table='code = "."\nmodel = "model"\nentry-script = "code/score.py"\n', files=files
    )

    actual = members(folder)

    assert actual == [
        "folder code/code/",
        f"file code/code/score.py {len(SCRIPT)}",
        "folder code/lib/",
        "folder code/lib/model/",
        "file code/lib/model/a 0",
        "file code/lib/pyproject.toml 0",
        "file code/lib/tasks.py 0",
        "folder model/",
        "file model/m.bin 0",
    ]


_BY_MODEL = """which tool.azureml-image.model names and which is not part of the code
    Name another folder under model, or move the script."""


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            'code = "."\nmodel = "model"\nentry-script = "model/score.py"\n',
            f"8: the entry script model/score.py is in model, {_BY_MODEL}",
        ),
        ('model = "code"\n', f"6: the entry script code/score.py is in code, {_BY_MODEL}"),
        (
            'code = "."\nentry-script = "tasks.py"\n',
            "7: the entry script tasks.py is in tasks.py, which is not part of the code\n    Move it.",
        ),
    ],
)
def test_an_entry_script_that_would_be_left_out_is_refused(table: str, expected: str, tmp_path: Path) -> None:
    """A path of another key is not copied with the code, so the server would not find the script."""
    files = {"model/m.bin": "", "model/score.py": SCRIPT, "code/score.py": SCRIPT, "tasks.py": SCRIPT}
    folder = project_with(tmp_path, table=table, files=files)

    assert f"pyproject.toml:{expected}" == refusal(folder)


def test_a_model_inside_the_code_is_copied_once(tmp_path: Path) -> None:
    """It is copied to the folder of models only."""
    folder = project_with(tmp_path, table='model = "code/model"\n', files={"code/model/v1/m.bin": "weights"})

    assert ["folder model/", "folder model/v1/", "file model/v1/m.bin 7"] == members(folder)


def test_only_a_part_of_an_excluded_folder_is_brought_back(tmp_path: Path) -> None:
    """A folder whose content is excluded is not copied, an empty folder is."""
    folder = project_with(
        tmp_path,
        table='exclude = ["code/data", "!code/data/v2/keep"]\n',
        files={"code/data/v1/a": "", "code/data/v2/a": "", "code/data/v2/keep": ""},
    )
    (folder / "code/empty").mkdir()

    actual = members(folder)

    assert actual == [
        "folder code/data/",
        "folder code/data/v2/",
        "file code/data/v2/keep 0",
        "folder code/empty/",
    ]
