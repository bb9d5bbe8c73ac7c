"""The page in a real browser, opened as a file: what it shows, how it is used, what it asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers import images
from helpers.browser import PHONE, check_legible, needs_chromium
from helpers.cli import run_cli

from dit4sr_cli.report.record import write

pytestmark = needs_chromium

LONG = "a_name_without_an_end_" * 9
NAMES = {
    "<script>document.title='evil'<_script>.png": (30, 20),
    f"{LONG}.jpg": (24, 16),
    "scan2.png": (24, 24),
    "scan10.png": (16, 24),
    "Küste & Möwen.png": (40, 24),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Of a real batch with pictures, damaged ones, and what is none."""
    folder = tmp_path_factory.mktemp("browser")
    scans = folder / "scans"
    (scans / "1953").mkdir(parents=True)
    for name, (width, height) in NAMES.items():
        images.save(scans / name, width, height)
    images.save(scans / "1953" / "a picture.jpg")
    (scans / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (scans / "no picture.png").write_text("Dear diary")
    (scans / "notes.txt").write_text("Dear diary")
    page = folder / "report.html"
    done = run_cli("batch", "scans", "-o", "out", "--model", "nano", "--report", page, cwd=folder)
    assert done.code == 8, done.stderr
    return page


def _names(tab) -> list[str]:
    shown = tab.locator("tbody tr:visible .name").all_inner_texts()
    return [name.removeprefix("scans/") for name in shown]


def _column(tab, number: int) -> list[str]:
    return tab.locator(f"tbody tr:visible td:nth-child({number})").all_inner_texts()


def test_all_files_are_shown_as_they_are_called(visit, report):
    tab = visit(report)
    assert set(_names(tab)) == {
        *NAMES,
        *("1953/a picture.jpg", "broken.jpg", "no picture.png", "notes.txt"),
    }
    assert tab.title() == "dit4sr report: 6 done, 1 skipped, 2 failed"
    assert tab.locator("tr.failed .reason").first.is_visible()
    for image in tab.locator("tbody img").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_sorted_by_click_and_by_key(visit, report):
    tab = visit(report)
    given = _names(tab)
    head, button = tab.locator("th", has_text="File"), tab.get_by_role("button", name="File")
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    first = _names(tab)
    assert first != given
    assert first.index("scan2.png") < first.index("scan10.png")
    button.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert _names(tab) == first[::-1]
    button.press("Space")
    assert head.get_attribute("aria-sort") is None
    assert _names(tab) == given

    tab.get_by_role("button", name="Size").focus()
    tab.keyboard.press("Enter")
    sizes = [text for text in _column(tab, 4) if text]
    assert [size.split()[0] for size in sizes] == [
        *("96x64", "96x64", "64x96", "96x96", "120x80", "160x96"),
    ]
    tab.get_by_role("button", name="Seconds").press("Enter")
    seconds = [float(text) for text in _column(tab, 5) if text]
    assert seconds == sorted(seconds)
    assert tab.locator("th[aria-sort]").count() == 1


def test_found_by_text_and_by_status(visit, report):
    tab = visit(report)
    find, shown = tab.get_by_role("searchbox"), tab.locator("#shown")
    assert shown.inner_text() == "9 of 9"
    tab.get_by_role("radio", name="Failed").check(force=True)
    assert set(_names(tab)) == {"broken.jpg", "no picture.png"}
    find.fill("NOT A PICTURE")
    assert _names(tab) == ["no picture.png"]
    assert shown.inner_text() == "1 of 9"
    tab.get_by_role("radio", name="Failed").press("ArrowLeft")  # to the skipped ones
    assert _names(tab) == ["notes.txt"]
    tab.get_by_role("radio", name="All").check(force=True)
    find.fill("ku\u0308ste")  # as a Mac writes it
    assert _names(tab) == ["Küste & Möwen.png"]
    find.fill("no such thing")
    assert _names(tab) == []
    assert tab.get_by_text("No file matches.").is_visible()
    find.press("Enter")
    assert tab.url == report.as_uri()
    find.fill("")
    assert shown.inner_text() == "9 of 9"


def test_one_picture_before_and_after(visit, report):
    tab = visit(report)
    tab.get_by_role("searchbox").fill("scan")
    tab.get_by_role("radio", name="Done").check(force=True)
    opener, view = tab.get_by_role("button", name="Compare scan2.png"), tab.get_by_role("dialog")
    opener.press("Enter")
    assert view.get_by_role("heading").inner_text() == "scans/scan2.png"
    before, after = view.locator("img").all()
    assert before.evaluate("image => image.decode().then(() => image.naturalWidth)") == 24
    assert after.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    assert before.bounding_box() == after.bounding_box()
    wipe = view.get_by_role("slider")
    assert wipe.evaluate("slider => slider === document.activeElement")
    tab.keyboard.press("End")
    assert view.locator(".stage").evaluate("s => s.style.getPropertyValue('--at')") == "100%"
    box = wipe.bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert 15 < float(wipe.input_value()) < 35

    seen = {view.get_by_role("heading").inner_text()}
    while (following := view.get_by_role("button", name="Next")).is_enabled():
        following.press("Enter")
        seen.add(view.get_by_role("heading").inner_text())
    while (previous := view.get_by_role("button", name="Previous")).is_enabled():
        previous.press("Enter")
        seen.add(view.get_by_role("heading").inner_text())
    assert len(seen) == len(_names(tab))
    tab.keyboard.press("Escape")
    assert not view.is_visible()
    assert opener.evaluate("button => button === document.activeElement")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_legible_in_light_and_dark(visit, report, scheme):
    tab = visit(report, scheme=scheme)
    legible = (
        *("h1", "header .dim", "th button", ".name", ".target", ".failed .reason", "summary"),
        *(".done .status", ".skipped .status", ".failed .status", "fieldset :checked + span"),
    )
    check_legible(tab, scheme, legible)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone(visit, report, scheme):
    tab = visit(report, viewport=PHONE, scheme=scheme)
    widths = "[document.documentElement.scrollWidth, innerWidth]"
    assert tab.evaluate(widths) == [380, 380]
    for summary in tab.locator("summary").all():
        summary.click()
    assert tab.evaluate(widths) == [380, 380]
    tab.get_by_role("button", name="Seconds").click()
    assert tab.locator("th[aria-sort]").is_visible()
    tab.get_by_role("button", name=re.compile("Compare a_name")).click()
    box = tab.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 380
    assert box["y"] + box["height"] <= 800
    assert tab.get_by_role("button", name="Close").is_visible()


def test_no_files_at_all(visit, tmp_path):
    write([], tmp_path / "r.html", settings={"scale": 4})
    tab = visit(tmp_path / "r.html")
    assert tab.get_by_text("There were no files").is_visible()
    assert tab.locator("table, form").count() == 0


def test_what_is_smuggled_in_does_not_run(chromium, tmp_path, report):
    """Should escaping ever fail: the policy knows the page's own script, and no other."""
    evil = "<script>document.title = 'evil'</script><img src=x onerror=\"document.title = 'evil'\">"
    page = report.read_text("utf-8").replace("<h1>", f"{evil}<h1>")
    (tmp_path / "r.html").write_text(page, "utf-8")
    tab = chromium.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.goto((tmp_path / "r.html").as_uri())
    assert tab.title().startswith("dit4sr report")
    assert tab.locator("#shown").inner_text() == "9 of 9"
    assert any("Content Security Policy" in text for text in said)
    tab.close()
