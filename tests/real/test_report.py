"""`image.report` on a real engine, and its page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.browser import Page, browser
from tests.real.smoke_image import with_smoke_test
from tests.real.support import Consumer

pytestmark = pytest.mark.usefixtures("no_container_is_left")
SMOKE_TEST = 'requests = [{ body = { do = "echo", value = 1 } }]\nmemory = "1g"\nrepeat = 3\n'
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
COLOURS = "(style => [style.backgroundColor, style.color].join())(getComputedStyle(document.documentElement))"
HEADINGS = "[...document.querySelectorAll('h1, h2, h3')].map(each => each.textContent)"
ROWS = "[...document.querySelectorAll('tbody th')].map(each => each.textContent)"


@pytest.fixture(scope="module")
def tested(smoke_project: Consumer, tmp_path_factory: pytest.TempPathFactory) -> Consumer:
    """A project whose image has passed its smoke test."""
    project = with_smoke_test(smoke_project, tmp_path_factory.mktemp("report"), SMOKE_TEST)
    ended = project.invoke("image.smoke-test")
    assert ended.code == 0, ended.stderr
    return project


@pytest.fixture(scope="module")
def page(tested: Consumer) -> Iterator[Page]:
    """The page of that image, in a browser."""
    ended = tested.invoke("image.report")
    assert (0, ".azureml-image/report.html\n") == (ended.code, ended.stdout), ended.stderr
    with browser() as running:
        yield running.open(tested.folder / ".azureml-image" / "report.html")


def test_what_the_page_shows(page: Page) -> None:
    """It has every part, the code that the build added, and a package that the base has."""
    headings, rows = page.value(HEADINGS), page.value(ROWS)

    assert headings[1:] == [
        "What it is made of",
        *("Layers", "The largest files", "Python packages"),
        "How it starts and answers",
        *("Start-up", "Latency", "Memory", "Checks"),
        "What changed since the last push",
        "The table",
    ]
    assert {"score.py/var/azureml-app/", "azureml-inference-server-http", "start-up"} <= set(rows)
    assert {row for row in rows if row.startswith(("hosts", "resolv.conf", ".dockerenv"))} == set()


def test_the_page_is_alone(page: Page, tested: Consumer) -> None:
    """Nothing but the page itself is asked for, and it has no script and offends no policy."""
    address = (tested.folder / ".azureml-image" / "report.html").as_uri()

    assert ([address], [], 0) == (page.requests(), page.complaints(), page.value("document.scripts.length"))


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits(page: Page, width: int) -> None:
    """On a desktop and on a phone, nothing is wider than the window, also unfolded and with a digest in each text."""
    page.show(width=width)
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    page.value("document.querySelectorAll('p, li').forEach(each => each.append(' sha256:' + 'f'.repeat(64)))")

    assert page.value(OVERFLOW) == 0


def test_it_has_two_themes(page: Page) -> None:
    """It follows the theme of the system, and is printed dark on white in both."""
    colours = {}
    for theme, media in (("light", ""), ("dark", ""), ("dark", "print")):
        page.show(width=1280, theme=theme, media=media)
        colours[f"{theme} {media}".strip()] = page.value(COLOURS)

    light, dark = "rgb(255, 255, 255),rgb(27, 31, 36)", "rgb(20, 24, 28),rgb(228, 232, 236)"
    assert {"light": light, "dark": dark, "dark print": light} == colours


def test_it_is_printed(page: Page) -> None:
    """It becomes a PDF of a few pages, with what is folded on the screen."""
    page.value("document.querySelectorAll('details').forEach(each => each.open = false)")
    page.show(width=794, media="print")
    unfolded = page.value("document.querySelector('details table').getBoundingClientRect().height")

    assert page.pdf().startswith(b"%PDF-")
    assert unfolded > 0


def test_dry_and_another_file(tested: Consumer, tmp_path: Path) -> None:
    """`--dry` prints commands that do the same; `--output` writes the page elsewhere, whole."""
    file = tmp_path / "page.html"

    dry = tested.invoke("--dry", "image.report", "--output", str(file))
    assert (0, False) == (dry.code, file.exists()), dry.stderr
    *listing, write = dry.stdout.splitlines()
    assert write == f"invoke image.report --output {file}"
    assert len(listing) == 2  # The image and its base.
    pasted = tested.paste(listing[0])
    assert (0, '{"files": [[') == (pasted.code, pasted.stdout.strip()[:12]), pasted.stderr

    assert tested.paste(write).stdout == f"{file}\n"
    assert file.read_text(encoding="utf-8").startswith(
        "<!DOCTYPE html>\n<!-- image report by azureml-tasks -->\n"
    )
    assert [file] == [*tmp_path.iterdir()]
