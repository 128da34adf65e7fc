"""The report as a reader sees it: opened in a real browser, on screens and on paper."""

import base64
from pathlib import Path

import pytest
from devtools import Chromium, Tab

from kstep.referee.metrics import load_metrics
from report_samples import BARE, FULL

INSPECT = (Path(__file__).parent / "inspect.js").read_text()
LAPTOP, PHONE, PAPER = 1280, 400, 700
CANVASES = "[...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())"


def faults(tab: Tab) -> list[str]:
    return [*tab.run(INSPECT), *tab.complaints()]


@pytest.fixture
def tab(browser: Chromium, report_page: Path) -> Tab:
    opened = Tab(browser, LAPTOP)
    opened.open(report_page)
    return opened


@pytest.mark.parametrize("width", [LAPTOP, PHONE])
def test_nothing_is_broken_blank_or_too_wide(tab, width):
    tab.resize(width)
    assert tab.run("document.images.length") >= 15
    assert tab.run("document.querySelectorAll('canvas').length") == 2
    assert faults(tab) == []


def test_tables_and_pictures_fit_a_laptop(tab):
    cut = "[...document.querySelectorAll('.scroll, .picture')].filter(box => box.clientWidth && "
    cut += "box.scrollWidth > box.clientWidth).map(box => box.textContent.trim().slice(0, 60))"
    assert tab.run(cut) == []
    tab.run("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert tab.run(cut) == []


def test_every_claim_has_its_light_and_the_verdict_is_first(tab, report_page):
    metrics = load_metrics(report_page.parent.parent / "eval" / "metrics.json")
    lights = tab.run(
        "[...document.querySelectorAll('.light')].filter(light => light.checkVisibility())"
        ".map(light => [light.classList[1], light.querySelector('strong').textContent])"
    )
    assert lights[0] == ["bad", "verdict: rejected."]
    assert tab.run("document.querySelector('.light').getBoundingClientRect().bottom") < 300
    said = [text for _, text in lights]
    names = [f"{c.name}: {c.outcome.value}." for m in metrics.molecules for c in m.verdict.claims]
    for name in names:
        assert said.count(name) >= names.count(name), name
    assert {state for state, _ in lights} == {"good", "open", "bad"}


def test_checks_unfold_worst_first_and_the_rest_is_folded(tab):
    folded = f"""(() => {{
      const chapter = [...document.querySelectorAll("section")].find(
        (part) => part.querySelector("h2").textContent === {BARE!r});
      const fold = [...chapter.querySelectorAll("details")].find(
        (part) => part.querySelector("summary").textContent === "30 checks");
      fold.open = true;
      const rows = [...fold.querySelectorAll("tr")].filter((row) => row.checkVisibility());
      return [rows.length, fold.querySelector("details > details > summary").textContent];
    }})()"""
    assert tab.run(folded) == [1 + 12, "and 18 more"]


def test_both_molecules_turn_and_play_in_step(tab):
    first = tab.run(CANVASES)
    assert first[0] != first[1]
    slide = "const slider = document.querySelector('.viewer input'); slider.value = 20;"
    tab.run(f"{slide} slider.dispatchEvent(new Event('input'))")
    moved = tab.run(CANVASES)
    assert tab.run("document.querySelector('.viewer output').value") == "21 of 60"
    assert all(old != new for old, new in zip(first, moved, strict=True))
    box = tab.run(
        "(() => { const canvas = document.querySelector('canvas'); canvas.scrollIntoView();"
        " const box = canvas.getBoundingClientRect(); return [box.x, box.y]; })()"
    )
    for kind, shift in (("mousePressed", 0), ("mouseMoved", 60), ("mouseReleased", 60)):
        tab.call("Input.dispatchMouseEvent", type=kind, x=box[0] + 100 + shift, y=box[1] + 100,
                 button="left", clickCount=1)  # fmt: skip
    turned = tab.run(CANVASES)
    assert all(old != new for old, new in zip(moved, turned, strict=True))
    tab.call("Input.dispatchMouseEvent", type="mouseWheel", x=box[0] + 100, y=box[1] + 100,
             deltaX=0, deltaY=-200)  # fmt: skip
    played = (
        "new Promise((resolve) => { const output = document.querySelector('.viewer output');"
        "const before = output.value; document.querySelector('.viewer button').click();"
        "const look = () => output.value === before ? requestAnimationFrame(look) : resolve(true);"
        "look(); })"
    )
    assert tab.run(played)
    assert all(old != new for old, new in zip(turned, tab.run(CANVASES), strict=True))
    assert faults(tab) == []


def test_paper_shows_the_checks_and_cuts_nothing(tab):
    tab.resize(PAPER)
    tab.call("Emulation.setEmulatedMedia", media="print")
    tab.run("dispatchEvent(new Event('beforeprint'))")
    assert tab.run("document.querySelectorAll('details:not([open], .screen)').length") == 0
    assert tab.run("document.querySelector('.controls').checkVisibility()") is False
    assert faults(tab) == []
    tab.run("dispatchEvent(new Event('afterprint'))")
    assert tab.run("document.querySelectorAll('details[open]').length") == 0
    printed = base64.b64decode(tab.call("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")
    assert len(printed) > 100_000


def test_without_scripts_every_number_is_still_there(browser, report_page):
    tab = Tab(browser, LAPTOP)
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(report_page)
    text = tab.run("document.body.textContent")
    assert FULL in text
    assert "SHA-256" in text
    assert tab.complaints() == []


BROKEN = {
    "console": ("<script>console.warn('look')</script>", "console warning"),
    "exception": ("<script>throw new Error('lost')</script>", "lost"),
    "resource": ("<img src='nowhere.png' alt='gone'>", 'picture "gone" is broken'),
    "blank picture": (
        "<img alt='white' src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' "
        "width='9' height='9'/>\">",
        'picture "white" is blank',
    ),
    "blank canvas": ("<canvas aria-label='view'></canvas>", 'canvas "view" is blank'),
    "too wide": ("<div style='width: 2000px'>wide</div>", "wide on a screen of 1280"),
    "dark light": ("<div class='light'>no sign</div>", "light without colour or sign"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_inspection_sees_each_kind_of_fault(browser, tmp_path, kind):
    content, expected = BROKEN[kind]
    path = tmp_path / "broken.html"
    path.write_text(f"<!DOCTYPE html><link rel='icon' href='data:,'><body>{content}")
    tab = Tab(browser, LAPTOP)
    tab.open(path)
    assert any(expected in fault for fault in faults(tab))
