"""Which names a script joins to AZUREML_MODEL_DIR."""

from __future__ import annotations

import pytest

from azureml_tasks.project.joined_names import joined_names

WAYS = {
    "getenv": 'os.path.join(os.getenv("AZUREML_MODEL_DIR"), "model", "a.pkl")',
    "getenv with a fallback": 'os.path.join(os.getenv("AZUREML_MODEL_DIR", "."), "model/a.pkl")',
    "environ": 'os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "a.pkl")',
    "environ.get": 'os.path.join(os.environ.get("AZUREML_MODEL_DIR", "x"), "model", "a.pkl")',
    "imported alone": 'join(environ["AZUREML_MODEL_DIR"], "model", "a.pkl")',
    "or": 'os.path.join(os.getenv("AZUREML_MODEL_DIR") or ".", "model/a.pkl")',
    "Path": 'Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "a.pkl"',
    "Path with parts": 'pathlib.Path(os.environ["AZUREML_MODEL_DIR"], "model", "a.pkl").read_bytes()',
    "joinpath": 'Path(os.environ["AZUREML_MODEL_DIR"]).resolve().joinpath("model", "a.pkl")',
    "text": 'open(str(Path(os.environ["AZUREML_MODEL_DIR"]) / "model/a.pkl"))',
    "plus": 'os.environ["AZUREML_MODEL_DIR"] + "/model/a.pkl"',
    "f-string": "f\"{os.environ['AZUREML_MODEL_DIR']}/model/a.pkl\"",
    "a way back": 'os.path.join(os.environ["AZUREML_MODEL_DIR"], "x", "..", "model/a.pkl")',
    "a condition": 'Path(os.environ["AZUREML_MODEL_DIR"] if here else "x") / "model" / "a.pkl"',
    "an assignment inside": '(root := Path(os.environ["AZUREML_MODEL_DIR"])) / "model/a.pkl"',
}


@pytest.mark.parametrize("expression", WAYS.values(), ids=WAYS)
def test_the_ways_of_joining(expression: str) -> None:
    """Each way in which scripts join a name is understood."""
    assert joined_names(f"import os\nmodel = load({expression})\n".encode()) == [(2, "model/a.pkl")]


SCRIPTS = {
    "a variable": (
        """\
        def init():
            folder = os.getenv("AZUREML_MODEL_DIR")
            path = os.path.join(folder, "outputs")
            model = load(os.path.join(path, "model.pkl"))
        """,
        [(3, "outputs"), (4, "outputs/model.pkl")],
    ),
    "a variable that is joined again": (
        """\
        path = os.getenv("AZUREML_MODEL_DIR")
        path = os.path.join(path, "outputs")
        path /= "model.pkl"
        """,
        [(2, "outputs"), (3, "outputs/model.pkl")],
    ),
    "a variable with a fallback": (
        """\
        path = os.getenv("AZUREML_MODEL_DIR")
        if not path:
            path = "./model"
        load(os.path.join(path, "model.pkl"))
        """,
        [(4, "model.pkl")],
    ),
    "a variable that has another value": (
        """\
        path = os.getenv("AZUREML_MODEL_DIR")
        path = "/tmp"
        load(os.path.join(path, "model.pkl"))
        """,
        [],
    ),
    "names of the module": (
        """\
        NAME: str = "model.pkl"
        ROOT = Path(os.environ["AZUREML_MODEL_DIR"])
        def init():
            global path
            path = ROOT / "v1"
        def run(data):
            return load(path / NAME)
        """,
        [(5, "v1"), (7, "v1/model.pkl")],
    ),
    "names of another function": (
        """\
        def one():
            path = os.environ["AZUREML_MODEL_DIR"]
        def two(path):
            return os.path.join(path, "model.pkl")
        """,
        [],
    ),
    "a parameter of the same name": (
        """\
        path = os.environ["AZUREML_MODEL_DIR"]
        def two(path):
            return os.path.join(path, "model.pkl")
        """,
        [],
    ),
    "an attribute": (
        """\
        class Model:
            def __init__(self):
                self.folder = os.environ["AZUREML_MODEL_DIR"]
            def load(self):
                return load(f"{self.folder}/model.pkl")
        """,
        [(5, "model.pkl")],
    ),
    "a part that is not known": (
        """\
        root = os.environ["AZUREML_MODEL_DIR"]
        for name in names:
            load(os.path.join(root, "models", name, "x"))
            load(f"{root}/{name}")
            load(os.path.join(root, name))
        """,
        [(3, "models")],
    ),
    "patterns, templates, other folders": (
        """\
        root = os.environ["AZUREML_MODEL_DIR"]
        glob.glob(os.path.join(root, "*.pkl"))
        (Path(root) / "{}.pkl")
        os.path.join(root, "/opt/model")
        os.path.join(root, "..", "other")
        os.path.join(root, ".")
        root + ".pkl"
        os.path.join(os.environ["OTHER"], "model.pkl")
        ", ".join([root, "model.pkl"])
        """,
        [],
    ),
    "the first line counts": (
        """\
        root = os.environ["AZUREML_MODEL_DIR"]
        load(root + "/b")
        load(root + "/a")
        load(root + "/b")
        """,
        [(2, "b"), (3, "a")],
    ),
}


@pytest.mark.parametrize(("script", "expected"), SCRIPTS.values(), ids=SCRIPTS)
def test_scripts(script: str, expected: list[tuple[int, str]]) -> None:
    """Names are followed as far as they are certain."""
    assert joined_names(cleandoc_lines(script).encode()) == expected


def cleandoc_lines(text: str) -> str:
    """Return a text without the indentation of the test."""
    return "".join(line[8:] for line in text.splitlines(keepends=True))


@pytest.mark.parametrize(
    "source",
    [b"", b"def (", b"\0", b"\xff AZUREML_MODEL_DIR", b"x = AZUREML_MODEL_DIR" + b"(" * 5000],
    ids=["empty", "a mistake", "NUL", "not UTF-8", "too deep"],
)
def test_a_script_that_cannot_be_parsed(source: bytes) -> None:
    """It has no names, and the check of the entry script reports it."""
    assert joined_names(source) == []
