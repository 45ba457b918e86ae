"""The page in a real browser: light and dark, on a phone, by keyboard, to a screen reader."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from akd.io import write_text
from akd.report.charts.matrix import DEEPEST
from akd.report.page import write_report
from tests.conftest import ROOT
from tests.report.browser import BINARY, Browser, browsing

CSS = ROOT / "akd" / "report" / "templates" / "report.css"
needs_chromium = pytest.mark.skipif(
    BINARY is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests of this file."""
    with browsing(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(project: Path) -> Path:
    """The written report of the made-up project."""
    write_report(project, project / "report.html")
    return project / "report.html"


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_fetched_logged_or_wider_than_the_window(
    browser: Browser, page: Path, width: int, scheme: str
) -> None:
    browser.open(page, width=width, scheme=scheme)
    browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.value("window.innerWidth") == width
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value("document.title") == "akd report: mine, tiny"
    asked = [event["request"]["url"] for event in browser.named("Network.requestWillBeSent")]
    assert asked == [page.resolve().as_uri()]
    said = browser.named("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    assert said == []
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", paper)[0])
    assert red < 60 if scheme == "dark" else red > 200


@needs_chromium
def test_no_text_of_a_picture_leaves_it(browser: Browser, page: Path, project: Path) -> None:
    write_text(
        project / "metrics" / "domains" / "phase-1.csv",
        "step,domain,weight,student_loss,teacher_loss\n"
        + "".join(f"0,WIDE DOMAIN MAKING {n},0.5,1,1\n" for n in range(7)),
    )
    write_report(project, page)
    browser.open(page, width=360, scheme="light")
    outside = browser.value(
        """[...document.querySelectorAll('.picture text')].filter(text => {
          const inner = text.getBoundingClientRect();
          const outer = text.closest('svg').getBoundingClientRect();
          return inner.left < outer.left - 1 || inner.right > outer.right + 1
            || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
        }).map(text => text.textContent)"""
    )
    assert outside == []


@needs_chromium
def test_the_keyboard_reaches_the_skip_link_the_sections_and_wide_tables(
    browser: Browser, page: Path
) -> None:
    browser.open(page, width=360, scheme="light")
    reached = []
    for _ in range(16):
        for kind in ("keyDown", "keyUp"):
            browser("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab",
                    windowsVirtualKeyCode=9)  # fmt: skip
        reached.append(browser.value("document.activeElement.outerHTML.slice(0, 40)"))
    assert reached[0].startswith('<a class="skip" href="#main"')
    assert reached[1].startswith('<a href="#headline"')
    assert any(tag.startswith('<div class="scroll" tabindex="0"') for tag in reached)
    assert any(tag.startswith("<summary") for tag in reached)


@needs_chromium
def test_the_accessible_tree_has_landmarks_and_named_pictures(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280, scheme="light")
    nodes = browser("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
             if not node["ignored"]]  # fmt: skip
    roles = [role for role, _ in named]
    assert {"banner", "navigation", "main", "contentinfo"} <= set(roles)
    pictures = [name for role, name in named if role in ("image", "img", "graphics-document")]
    assert len(pictures) == 11
    assert all(pictures)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _mixed(one: str, other: str, share: float) -> str:
    """Return the colour of the one over the other, as a cell of the confusion matrix has it."""
    pairs = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_of_wcag(scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", CSS.read_text(), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    texts = ["ink", "muted", "series-0", "series-1", "series-2", "series-3"]
    assert min(_contrast(colours[name], colours["paper"]) for name in texts) >= 4.5
    assert _contrast(colours["focus"], colours["paper"]) >= 3
    deepest = _mixed(colours["series-0"], colours["track"], DEEPEST)
    assert _contrast(colours["ink"], deepest) >= 4.5
