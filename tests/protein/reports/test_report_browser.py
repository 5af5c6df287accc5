"""What does a browser make of the pages: is the structure drawn, without network and errors?"""

import importlib
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from provq_protein.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def looking(repo_root: Path) -> Iterator[Any]:
    """Return the module that finds and starts a browser."""
    sys.path.insert(0, str(repo_root / "benchmarks"))
    yield importlib.import_module("report_pages.browser")
    sys.path.remove(str(repo_root / "benchmarks"))


@pytest.fixture(scope="module")
def browser(looking) -> Iterator[Any]:
    pytest.importorskip("playwright.sync_api", reason="playwright is in the extra 'dev'")
    executable = looking.chromium()
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(looking.BROWSERS)}, and no PROVQ_CHROMIUM")
    with looking.started(executable) as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory, repo_root: Path) -> Path:
    """Return a folder with a report of two chains, and a dictionary, of the shipped model."""
    pytest.importorskip("molstar_cli", reason="the 3D viewer needs the extra 'report'")
    folder = tmp_path_factory.mktemp("pages")
    files = [str(repo_root / "data" / "structures" / name) for name in ("1a8o.cif", "3jqh.cif")]
    assert main(["report", *files, "-o", str(folder / "report.html")]) == 0
    assert main(["codebook", *files, "-o", str(folder / "dictionary.html")]) == 0
    return folder


class Tab:
    """One tab, and whatever it complained about or asked for."""

    def __init__(self, browser: Any, path: Path, *, wait: int, scripts: bool = True) -> None:
        self.wait = wait
        self.context = browser.new_context(
            viewport={"width": 1000, "height": 800}, java_script_enabled=scripts
        )
        self.tab = self.context.new_page()
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.tab.on("console", self._said)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.addresses.append(request.url))
        self.tab.goto(path.as_uri())

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def wait_for(self, shown: str) -> bytes:
        """Wait until the viewer shows something; return a picture of its canvas."""
        selector = f"#viewer[data-state=ready][data-shown='{shown}']"
        self.tab.wait_for_selector(selector, timeout=self.wait)
        # The camera moves for a quarter of a second, slower where a processor draws.
        self.tab.wait_for_timeout(2500)
        return self.tab.locator("#viewer canvas").first.screenshot()


@pytest.fixture
def open_page(browser, looking) -> Iterator[Any]:
    opened: list[Tab] = []

    def new(path: Path, **options: bool) -> Tab:
        opened.append(Tab(browser, path, wait=looking.WAIT, **options))
        return opened[-1]

    yield new
    for one in opened:
        one.context.close()


def colors(picture: bytes) -> dict[tuple[int, ...], int]:
    """Return how many pixels have each colour, without the greys of background and shading."""
    image = pytest.importorskip("PIL.Image", reason="the pixel test needs the extra 'vision'")
    pixels = image.open(BytesIO(picture)).convert("RGB")
    found = pixels.getcolors(pixels.width * pixels.height)
    return {color: count for count, color in found if max(color) - min(color) > 24}


def test_a_report_draws_and_uses_no_network(open_page, pages) -> None:
    page = open_page(pages / "report.html")

    by_code = colors(page.wait_for("1a8o.cif:A by_code"))
    page.tab.locator("#by-error").click()
    by_error = colors(page.wait_for("1a8o.cif:A by_error"))
    page.tab.locator("#viewer-chain").select_option(label="3jqh.cif:A")
    second = colors(page.wait_for("3jqh.cif:A by_error"))
    page.tab.locator("#by-code").click()
    second_by_code = colors(page.wait_for("3jqh.cif:A by_code"))

    # Greens and violets of codes are on thousands of pixels; a blank canvas has grey alone.
    assert len(by_code) > 200
    assert sum(by_code.values()) > 2000
    assert len(second_by_code) > 100
    greens = [
        sum(count for (red, green, _), count in found.items() if green > red + 10)
        for found in (by_code, by_error)
    ]
    assert greens[0] > 1000
    assert greens[0] > 10 * greens[1]
    assert second != by_error
    assert page.complaints == []
    assert {address.split(":")[0] for address in page.addresses} <= {"file", "blob", "data"}
    assert sum(address.startswith("file:") for address in page.addresses) == 1


def test_the_decoded_chain_can_be_added(open_page, pages) -> None:
    page = open_page(pages / "report.html")
    alone = page.wait_for("1a8o.cif:A by_code")
    page.tab.locator("#with-decoded").check()
    page.tab.wait_for_timeout(500)
    both = page.wait_for("1a8o.cif:A by_code")
    assert both != alone
    assert page.complaints == []


def test_headings_sort_the_chains(open_page, pages) -> None:
    page = open_page(pages / "report.html")
    first = page.tab.locator("#chain-table tbody tr td").first
    assert first.inner_text() == "1a8o.cif:A"
    page.tab.locator("#chain-table th").nth(1).click()
    assert first.inner_text() == "3jqh.cif:A"
    page.tab.locator("#chain-table th").nth(1).click()
    assert first.inner_text() == "1a8o.cif:A"


def test_the_page_cannot_reach_the_network(open_page, pages) -> None:
    page = open_page(pages / "report.html")
    tried = "fetch('http://127.0.0.1:9/x').then(() => 'reached', (error) => error.name)"
    assert page.tab.evaluate(tried) == "TypeError"
    assert any("Content Security Policy" in one for one in page.complaints)


def test_search_narrows_the_cards(open_page, pages) -> None:
    page = open_page(pages / "dictionary.html")
    cards = page.tab.locator("#cards > li")
    visible = page.tab.locator("#cards > li:not([hidden])")

    assert cards.count() == 4096
    assert visible.count() == 4096
    page.tab.locator("#search").fill("4000")
    assert visible.count() == 1
    assert "after a break" in visible.inner_text()
    page.tab.locator("#search").fill("1a8o helix")
    assert 0 < visible.count() < 100
    page.tab.locator("#search").fill("")
    page.tab.locator("#kind").select_option("break")
    assert visible.count() == 256
    assert page.tab.locator("#shown").inner_text() == "256 of 4096 codes"
    page.tab.locator("#kind").select_option("")
    page.tab.locator("#order").select_option("count")
    counts = [int(card.get_attribute("data-count")) for card in cards.all()[:20]]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 1
    assert page.complaints == []
    assert page.addresses == [(pages / "dictionary.html").as_uri()]


def test_without_scripts_tables_and_cards_are_there(open_page, pages) -> None:
    report = open_page(pages / "report.html", scripts=False)
    assert report.tab.locator("#chain-table tbody tr").count() == 2
    assert report.tab.locator("figure svg").count() >= 3
    assert "needs JavaScript" in report.tab.locator("#viewer").inner_text()
    cards = open_page(pages / "dictionary.html", scripts=False)
    assert cards.tab.locator("#cards > li").count() == 4096
    assert cards.tab.locator("#controls").is_hidden()
