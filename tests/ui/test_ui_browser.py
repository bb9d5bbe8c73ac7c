"""The page in a real browser, with the real model behind it, from photograph to download."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from helpers import images
from helpers.browser import PHONE, WIDE, check_legible, needs_chromium, sync_api
from helpers.cli import run_cli
from helpers.page import EPOCH, running

pytest.importorskip("nicegui", reason="needs nicegui: the ui extra")
pytestmark = needs_chromium
expect = sync_api.expect

LONG = 90_000  # milliseconds that a small picture may take on a busy machine
EVIL = "<img src=x onerror=\"document.title='evil'\">&<b>.png"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with running(tmp_path_factory.mktemp("ui")) as page:
        yield page


@pytest.fixture
def visit(chromium, page):
    """Opens the page; in the end nothing was asked of any other host, and nobody complained."""
    contexts, asked, said = [], [], []

    def visit(viewport=WIDE, scheme="light"):
        context = chromium.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        tab = context.new_page()
        tab.on("websocket", lambda opened: asked.append(opened.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(page.url)
        tab.wait_for_url(f"{page.origin}/")  # the token is gone from the address
        expect(tab.get_by_role("heading", name="dit4sr")).to_be_visible()
        return tab

    yield visit
    if contexts:
        tab = contexts[0].pages[0]
        while (buttons := tab.get_by_role("button", name=re.compile("^(Cancel|Remove) "))).count():
            buttons.first.click()
            time.sleep(0.3)
    for context in contexts:
        context.close()
    ours = re.compile(rf"(http|ws)://127\.0\.0\.1:{page.port}/|data:|blob:")
    assert [url for url in asked if not ours.match(url)] == []
    # A refused upload, and the picture of one that is broken, are answers and no faults.
    assert [text for text in said if not re.search(r"status of (415|422)", text)] == []


def add(tab, *paths: Path) -> None:
    tab.locator("input[type=file]").set_input_files(list(paths))
    for path in paths:
        expect(tab.locator(".name", has_text=path.name)).to_be_visible()


def choose(tab, field: str, value: str) -> None:
    tab.get_by_label(field, exact=True).click()
    tab.get_by_role("option", name=value, exact=True).click()


def row(tab, name: str):
    return tab.locator(".photo", has=tab.get_by_text(name, exact=True))


def photo_in(folder: Path, name: str, width: int = 24, height: int = 16, **options) -> Path:
    return images.save(folder / name, width, height, **options)


def test_from_photograph_to_download(visit, tmp_path):
    """The file is the one that the command line writes, to a byte."""
    exif = images.scene(8, 8).getexif()
    exif[0x010E], exif[0x0112] = "A cup", 6
    photo = photo_in(tmp_path, "my photo.jpg", 40, 30, quality=90, exif=exif)
    tab = visit()
    assert tab.get_by_text("Drop photographs here").is_visible()
    add(tab, photo)
    assert "30x40" in row(tab, photo.name).inner_text()  # upright
    choose(tab, "Preset", "Best")
    choose(tab, "Format", "TIFF")
    tab.get_by_label("Scale").fill("3")
    tab.get_by_text("More").click()
    tab.get_by_label("Seed").fill("5")
    tab.get_by_role("switch", name="Fidelity").click()
    tab.wait_for_timeout(700)  # what is typed is sent a moment later
    tab.get_by_role("button", name="Enlarge", exact=True).click()
    link = row(tab, photo.name).get_by_role("link", name="Download")
    expect(link).to_be_visible(timeout=LONG)
    assert "90x120" in row(tab, photo.name).inner_text()
    with tab.expect_download() as waiting:
        link.click()
    options = ("--preset", "best", "--scale", "3", "--seed", "5", "--fidelity", "0.5")
    target = tmp_path / "out"
    target.mkdir()
    done = run_cli("upscale", photo, "-o", target, *options, "--format", "tiff", env=EPOCH)
    assert done.code == 0, done.stderr
    (written,) = target.iterdir()
    assert waiting.value.suggested_filename == written.name
    assert Path(waiting.value.path()).read_bytes() == written.read_bytes()

    wipe = tab.get_by_role("slider", name=re.compile("shown as it was before"))
    before, after = tab.locator(".result .wipe img").all()
    for image in (before, after):
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert before.bounding_box() == after.bounding_box()
    at = "stage => stage.style.getPropertyValue('--at')"
    stage = tab.locator(".result .wipe .stage")
    assert stage.evaluate(at) == "50%"
    wipe.press("End")
    assert stage.evaluate(at) == "100%"
    box = wipe.bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert 15 < float(wipe.input_value()) < 35
    assert "faithful" in tab.locator(".how").inner_text()
    with tab.context.expect_page() as waiting:
        tab.get_by_role("link", name="Compare in detail").click()
    waiting.value.wait_for_load_state()
    expect(waiting.value.get_by_role("heading", level=1)).to_contain_text(photo.name)

    tab.get_by_label("Scale").fill("99")
    tab.wait_for_timeout(700)
    tab.get_by_role("button", name="Enlarge again").click()
    expect(tab.get_by_role("alert")).to_have_text("scale has to be from 1 to 8")
    tab.get_by_label("Scale").fill("4")
    choose(tab, "Preset", "As the model says")
    choose(tab, "Format", "PNG, or TIFF for TIFF")
    tab.get_by_role("switch", name="Fidelity").click()
    tab.wait_for_timeout(700)


def test_several_wait_in_line_and_can_be_called_off(visit, page, tmp_path):
    large = photo_in(tmp_path, "large.png", 320, 240)
    small = [photo_in(tmp_path, name) for name in ("b.png", "c.png", EVIL)]
    tab = visit()
    add(tab, large, *small)
    tab.get_by_role("button", name="Enlarge all 4").click()
    expect(row(tab, "b.png")).to_contain_text("next in line")
    expect(row(tab, "c.png")).to_contain_text("number 2 in line")
    expect(row(tab, EVIL)).to_contain_text("number 3 in line")
    tab.get_by_role("button", name="Cancel c.png").click()
    expect(row(tab, "c.png")).to_contain_text("cancelled")
    expect(row(tab, EVIL)).to_contain_text("number 2 in line")
    expect(row(tab, "large.png")).to_contain_text(re.compile(r"sampling, \d+%"), timeout=LONG)
    assert tab.get_by_role("progressbar").is_visible()
    other = visit()  # the same desk, seen from another window
    expect(row(other, "large.png")).to_contain_text("sampling")
    other.get_by_role("button", name="Cancel large.png").click()
    expect(row(tab, "large.png")).to_contain_text("cancelled", timeout=15_000)
    expect(row(tab, "b.png").get_by_role("link", name="Download")).to_be_visible(timeout=LONG)
    expect(row(tab, EVIL).get_by_role("link", name="Download")).to_be_visible(timeout=LONG)
    assert tab.title() == "dit4sr"
    names = {path.name for path in page.files() if path.parent.name.startswith("out")}
    assert names == {"b_x4.png", f"{Path(EVIL).stem}_x4.png"}  # nothing of those called off
    tab.get_by_role("button", name="Remove b.png").click()
    expect(row(tab, "b.png")).to_have_count(0)
    assert not any(path.name.startswith("b") for path in page.files())


def test_a_caption_stays_with_its_photograph(visit, tmp_path):
    tab = visit()
    add(tab, photo_in(tmp_path, "a.png"), photo_in(tmp_path, "b.png"))
    caption = tab.get_by_label("What it shows")
    assert tab.get_by_text("nano reads no text").is_visible()
    caption.fill("A cup of coffee, <b>steaming</b>")
    tab.wait_for_timeout(700)
    row(tab, "b.png").locator(".pick").click()
    expect(caption).to_have_value("")
    caption.fill("A cat")
    tab.wait_for_timeout(700)
    row(tab, "a.png").locator(".pick").click()
    expect(caption).to_have_value("A cup of coffee, <b>steaming</b>")
    tab.reload()
    row(tab, "b.png").locator(".pick").click()
    expect(tab.get_by_label("What it shows")).to_have_value("A cat")


def test_what_is_broken_or_no_picture(visit, tmp_path):
    whole = photo_in(tmp_path, "whole.png", 60, 40).read_bytes()
    broken, notes = tmp_path / "broken.png", tmp_path / "notes.png"
    broken.write_bytes(whole[: len(whole) // 2])
    notes.write_text("Dear diary, " * 50)
    tab = visit()
    add(tab, broken)
    tab.locator("input[type=file]").set_input_files([notes])
    expect(tab.locator(".drop [role=alert]")).to_contain_text("notes.png: is not a picture")
    tab.get_by_role("button", name="Dismiss").click()
    expect(tab.locator(".drop [role=alert]")).to_have_count(0)
    tab.get_by_role("button", name="Enlarge", exact=True).click()
    expect(row(tab, "broken.png")).to_contain_text("truncated", timeout=LONG)
    text = row(tab, "broken.png").inner_text()
    assert "/" not in text.split("·")[1]  # nobody needs to know where it is kept
    assert row(tab, "broken.png").get_by_role("link", name="Download").count() == 0


def test_a_part_is_tried_first(visit, tmp_path):
    tab = visit()
    add(tab, photo_in(tmp_path, "wide.png", 300, 160))
    spot = tab.get_by_role("group", name=re.compile("part of wide.png"))
    frame = "spot => getComputedStyle(spot.querySelector('i')).left"
    middle = spot.evaluate(frame)
    box = spot.bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + 5)
    expect(spot.locator("i")).not_to_have_css("left", middle)
    right = spot.evaluate(frame)
    spot.press("ArrowLeft")
    expect(spot.locator("i")).not_to_have_css("left", right)
    tab.get_by_role("button", name="Try this part").click()
    images_ = tab.locator(".trial .wipe img")
    expect(images_.first).to_be_visible(timeout=LONG)
    width = "image => image.decode().then(() => image.naturalWidth)"
    assert images_.last.evaluate(width) == 512
    said = tab.locator(".trial .dim").first.inner_text()
    assert re.fullmatch(r"x4.*; the whole takes about .+", said)
    expect(row(tab, "wide.png")).to_contain_text("ready")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_legible_and_fits_a_phone(visit, tmp_path, scheme):
    tab = visit(viewport=PHONE, scheme=scheme)
    widths = "[document.documentElement.scrollWidth, innerWidth]"
    assert tab.evaluate(widths) == [380, 380]
    add(tab, photo_in(tmp_path, "a_name_without_an_end_" * 8 + ".png", 300, 100))
    tab.get_by_text("More").click()
    assert tab.evaluate(widths) == [380, 380]
    legible = ("h1", ".top .dim", ".title", ".photo .name", ".photo .status", ".button.primary")
    check_legible(tab, scheme, legible)


def test_ctrl_c_ends_all_in_the_middle_of_a_picture(chromium, tmp_path):
    with running(tmp_path) as page:
        tab = chromium.new_page()
        tab.goto(page.url)
        add(tab, photo_in(tmp_path, "large.png", 320, 240))
        tab.get_by_role("button", name="Enlarge", exact=True).click()
        expect(row(tab, "large.png")).to_contain_text("sampling", timeout=LONG)
        started = time.monotonic()
        page.process.send_signal(signal.SIGINT)
        _, said = page.process.communicate(timeout=30)
        assert time.monotonic() - started < 15
        assert page.process.returncode == 130
        assert said.splitlines()[-1] == "error: interrupted"
        assert "Traceback" not in said
        assert list(page.temporary.glob("dit4sr-ui-*")) == []
        tab.close()
