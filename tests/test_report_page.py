"""The page of `image.report`: the whole of it for a small image, and what must never get into it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.report.contents import Contents, File, Package
from azureml_tasks.report.facts import ImageFacts, LastPush
from azureml_tasks.report.layers import Layer, Layers
from azureml_tasks.report.page import render
from azureml_tasks.version import VERSION

PAGE = Path(__file__).parent / "cases" / "report" / "page.html"
NOW = 1_790_000_000
ID = f"sha256:{'1' * 64}"
PUSHED = f"contoso.azurecr.io/adder@sha256:{'2' * 64}"
BASE = (Layer(1, "/bin/sh -c #(nop) ADD file:0 in /", 80_000_000), Layer(2, "ENV A=b", 0))
PIP = 'RUN /bin/sh -c "${AZUREML_CONDA_ENVIRONMENT_PATH:?no}/bin/python" /tmp/azureml-image/install.py # buildkit'
OWN = (
    Layer(3, PIP, 9_000_000),
    Layer(4, "COPY model/ /var/azureml-app/azureml-models/ # buildkit", 2_000_000),
    Layer(5, "COPY code/ /var/azureml-app/ # buildkit", 900),
    Layer(6, "USER dockeruser", 0),
)
NUMPY, PIP_ITSELF = (
    Package("numpy", "2.4.6", "BSD-3-Clause", 8_000_000),
    Package("pip", "26.0", "", 7_000_000),
)
IN_BASE = Contents((File("/usr/lib/libc.so", 2_000_000, 1),), 3000, 80_000_000, (PIP_ITSELF,))
CONTENTS = Contents(
    files=(
        File("/var/azureml-app/azureml-models/weights.bin", 2_000_000, 7),
        File("/usr/lib/libc.so", 2_000_000, 1),
    ),
    file_count=3100,
    size=91_000_000,
    packages=(NUMPY, PIP_ITSELF),
)
SMOKE: dict[str, Any] = {
    "passed": True,
    "place": "through 127.0.0.1:49153",
    "started": 1.5,
    "stopped": 0.2,
    "peak_memory": 80 * 2**20,
    "waits": [
        {"seconds": 0.001, "reason": "connection refused"},
        {"seconds": 0.3, "reason": "502 Bad Gateway"},
    ],
    "latencies": [
        {
            "name": "request 1",
            "status": 200,
            "p50": 0.002,
            "p95": 0.008,
            "repeats": 3,
            "same": False,
            "times": [0.008, 0.002, 0.0005],
        }
    ],
    "checks": [
        {"name": "start-up", "outcome": "passed", "details": [], "seconds": 1.5},
        {"name": "swagger.json", "outcome": "passed", "details": ["a detail"], "seconds": 0.0},
    ],
    "warnings": [],
}
FACTS = ImageFacts(
    repository="adder",
    references=("contoso.azurecr.io/adder:1.0.0",),
    id=ID,
    base="mcr.microsoft.com/azureml/minimal-py312-inference:latest",
    platform="linux/amd64",
    user="dockeruser",
    built_at=NOW - 3600,
    size=91_000_900,
    next_step="contoso.azurecr.io/adder:1.0.0 is up to date and passed its smoke test: invoke image.push",
    warnings=("the image runs as root", '<script>alert("1")</script> & more'),
    layers=Layers(BASE, OWN),
    contents=CONTENTS,
    base_contents=IN_BASE,
    smoke=SMOKE,
    memory_limit=2**30,
    files={"code/": "folder", "code/score.py": "a", "code/new.py": "b"},
    last_push=LastPush(
        reference=PUSHED,
        tags=("1.0.0",),
        at=NOW - 7200,
        is_same=False,
        layers=(*BASE, *OWN[:2]),
        contents=CONTENTS._replace(packages=(NUMPY._replace(version="2.4.5"), PIP_ITSELF)),
        files={"code/": "folder", "code/score.py": "0", "code/old.py": "b"},
    ),
    table='[tool.azureml-image]\nbase = "minimal-py312-inference"',
)


class _Tags(HTMLParser):
    """Takes down every element with its attributes, and looks that each end has a beginning."""

    EMPTY = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take it down."""
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take it down."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        assert self.open.pop() == tag, tag


def tags(page: str) -> _Tags:
    """Return the elements of a page."""
    parser = _Tags()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_whole_page() -> None:
    """The page of a small image is that of the case."""
    page = render([FACTS], now=NOW)

    assert PAGE.read_text(encoding="utf-8") == page.replace(
        f"azureml-tasks {VERSION}", "azureml-tasks VERSION"
    )


def test_elements_are_closed_and_names_are_unique() -> None:
    """Each element ends, and of several images each has anchors of its own, which the list at the top leads to."""
    page = tags(render([FACTS, replace(FACTS, repository="other")], now=NOW))

    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert len(set(names)) == len(names)
    assert ["#image-1", "#image-2"] == links


def test_nothing_of_the_page_runs_or_is_loaded() -> None:
    """There is no script, no event handler, no style of an element, and no address of anything to load."""
    for tag, attributes in tags(render([FACTS], now=NOW)).elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "form", "base"}, tag
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src", "href"}]


HOSTILE = (
    '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\x1b[31m\u202e\udcff\n' + "x" * 5000
)


def hostile(value: Any) -> Any:
    """Return a value with every text in it replaced, but for keys."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, dict):
        return {name: hostile(each) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    if isinstance(value, tuple):
        return type(value)(*map(hostile, value)) if hasattr(value, "_fields") else tuple(map(hostile, value))
    return value


def test_what_others_wrote_is_text() -> None:
    """Whatever a text says, it is escaped, cut, and has no character that nobody sees."""
    last = FACTS.last_push
    assert last is not None
    values = {name: hostile(value) for name, value in vars(FACTS).items() if name != "last_push"}
    of_last = {name: hostile(getattr(last, name)) for name in ("reference", "tags", "files", "contents")}
    facts = replace(FACTS, **values, last_push=replace(last, **of_last))

    page = render([facts], now=NOW)

    assert "script" not in {tag for tag, _ in tags(page).elements}
    assert "{{ 7 * 7 }}" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)
    assert len(page.encode()) < 100_000


LEGEND = (
    "Each line of the pictures is one answer, the tall one the first; "
    "half of the answers were not later than the broken line"
)
UNKNOWN = ImageFacts(
    repository="adder",
    references=("contoso.azurecr.io/adder:1.0.0",),
    id=ID,
    base="",
    platform="linux/amd64",
    user="",
    next_step="",
    table="[tool.azureml-image]",
    layers_problem="only the registry has this image",
    contents_problem="only the registry has this image",
)


def text_of(page: str) -> list[str]:
    """Return the lines that a person reads below the headline."""
    body = page.partition("<body>")[2]
    lines = re.sub(r"<[^>]+>", " ", body).splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def test_what_is_not_known_is_said() -> None:
    """Without an engine, a smoke test and a push, the page says so in the place of each."""
    assert text_of(render([UNKNOWN], now=NOW)) == [
        "adder",
        "contoso.azurecr.io/adder:1.0.0",
        "linux/amd64, runs as root",
        ID,
        "What it is made of",
        "The layers are not known: only the registry has this image.",
        "Files and packages",
        "They are not known: only the registry has this image.",
        "How it starts and answers",
        "No smoke test that this image passed is recorded.",
        "What changed since the last push",
        "No push from here is recorded, so there is nothing to compare with.",
        "The table",
        "[tool.azureml-image]",
        f"Made by azureml-tasks {VERSION}, 2026-09-21 14:13 UTC",
    ]


def test_what_is_not_shown_is_counted() -> None:
    """A count is that of the image, and not that of the rows, of which there is a limit."""
    packages = tuple(Package(f"p{number}", "1", "MIT", 1) for number in range(1200))
    contents = CONTENTS._replace(packages=packages)
    layers = Layers((BASE[0],) * 250, (OWN[0],))
    lines = text_of(
        render([replace(FACTS, layers=layers, contents=contents, base_contents=contents)], now=NOW)
    )

    expected = {"250 layers of the base", "1,200 packages of the base", "Not shown: 200 packages."}
    assert expected <= set(lines)


LAST = LastPush(reference=PUSHED, tags=("1.0.0",), at=NOW, is_same=True)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (LAST, "This is the image that was pushed last on 2026-09-21 14:13 UTC. Nothing has changed."),
        (
            replace(LAST, is_same=False, at=0, problem="it is gone"),
            "Compared with the image that was pushed last. Its packages and layers are not known: it is gone.",
        ),
    ],
)
def test_the_last_push(last: LastPush, expected: str) -> None:
    """The same image has not changed, and of one that is gone only the record tells."""
    lines = text_of(render([replace(UNKNOWN, last_push=last)], now=NOW))

    start = lines.index("What changed since the last push")
    assert [expected, PUSHED, "The table"] == lines[start + 1 : start + 4]


def test_a_smoke_test_that_an_earlier_version_recorded() -> None:
    """Without the times of each answer there are the percentiles, and without waits the time until it was ready."""
    latency = {name: value for name, value in SMOKE["latencies"][0].items() if name != "times"}
    smoke = {"passed": True, "started": 1.5, "peak_memory": None, "latencies": [latency]}

    lines = text_of(render([replace(UNKNOWN, smoke=smoke)], now=NOW))

    start = lines.index("Start-up")
    end = lines.index("What changed since the last push")
    assert [
        "Start-up",
        "Ready after 1.5 s. What came before is not recorded.",
        "Latency",
        LEGEND,
        "Request First 50 % 95 % Longest",
        "request 1 200, 3 times, not always the same answer 2 ms 8 ms",
    ] == lines[start:end]


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_texts_have_contrast() -> None:
    """In both themes, text, quiet text and links have the contrast of WCAG's level AA."""
    style = Path(__file__).parents[1] / "azureml_tasks" / "report" / "templates" / "page.css"
    themes = re.findall(r":root \{(.*?)\}", style.read_text(encoding="utf-8"), re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", theme))
        for ground in ("ground", "wash"):
            for name in ("text", "quiet", "accent"):
                light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)
