"""The page of a comparison in a real browser, opened as a file: by mouse, touch and keys."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers import images
from helpers.browser import PHONE, check_legible, needs_chromium
from PIL import Image

from dit4sr_cli.report.compare.page import make

pytestmark = needs_chromium

SPOILT = (224, 128, 32, 32)
"""Where `bad` differs from what it was made of: cells of 8 pixels, four times as large."""
SHOWN = "[...document.querySelectorAll('.pane:not([hidden])')]"
MOVED = f"{SHOWN}.map(pane => pane.querySelector('.layer').style.transform)"
COLOUR = """([selector, x, y]) => {
  const canvas = document.querySelector(selector);
  const at = [canvas.width * x, canvas.height * y].map(Math.floor);
  return [...canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3);
}"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[str, Path]:
    """A source, a good and a bad result of it, one twice as large, and a name that is a script."""
    folder = tmp_path_factory.mktemp("compare")
    small = images.scene(120, 80)
    large = small.resize((480, 320), Image.Resampling.BICUBIC)
    pixels = np.array(large)
    x, y, w, h = SPOILT
    pixels[y : y + h, x : x + w] = (255, 0, 255)
    made = {"in": small, "good": large, "bad": Image.fromarray(pixels)}
    made["<b>two&"] = small.resize((240, 160), Image.Resampling.BICUBIC)
    for name, image in made.items():
        image.save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in made}


@pytest.fixture(scope="module")
def page(pictures) -> Path:
    results = {path.name: path for name, path in pictures.items() if name != "in"}
    return make(pictures["in"], results, pictures["in"].with_name("page.html")).page


@pytest.fixture(scope="module")
def reduced(pictures) -> Path:
    """The same, but the pictures are reduced to a tenth of their pixels."""
    output = pictures["in"].with_name("reduced.html")
    return make(pictures["in"], {"bad": pictures["bad"]}, output, megapixels=0.015).page


@pytest.fixture
def tolerated() -> tuple[str, ...]:
    """What Chromium advises to those who read a canvas, as the tests do."""
    return ("Canvas2D",)


def _at(tab) -> float:
    return float(tab.locator("#stage").evaluate("s => s.style.getPropertyValue('--at')")[:-1])


def _zoom(tab) -> str:
    return re.search(r"at (\d+) %", tab.locator("#where").inner_text())[1]


def _labels(tab) -> list[str]:
    return tab.locator(".pane:visible figcaption").all_inner_texts()


def _middle(tab, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
    box = tab.locator("#stage").bounding_box()
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def _spoilt(tab) -> tuple[float, float]:
    """Where the middle of the spoilt square is on the screen."""
    x, y, w, h = SPOILT
    whole = tab.locator(".pane.right .whole").bounding_box()
    scale = whole["width"] / 480
    return whole["x"] + (x + w / 2) * scale, whole["y"] + (y + h / 2) * scale


def test_the_line_by_mouse_and_keys(visit, page):
    tab = visit(page)
    assert _at(tab) == 50
    tab.mouse.move(*_middle(tab))  # takes the line itself
    tab.mouse.down()
    tab.mouse.move(*_middle(tab, 0.8), steps=5)
    tab.mouse.up()
    assert _at(tab) == pytest.approx(80, abs=2)
    tab.mouse.click(*_middle(tab, 0.25, 0.3))  # all is shown, so any place takes it
    assert _at(tab) == pytest.approx(25, abs=2)
    line = tab.get_by_role("slider")
    line.press("End")
    assert _at(tab) == 100
    line.press("Home")
    line.press("ArrowRight")
    assert _at(tab) == 1
    tab.locator("#stage").press("ArrowRight")
    assert _at(tab) == 3
    tab.keyboard.down(" ")  # the left one alone, while the key is held
    assert _at(tab) == 100
    tab.keyboard.up(" ")
    assert _at(tab) == 3


def test_what_is_left_and_right_of_the_line(visit, page):
    """The pixels that are painted: the spoilt square shows on the right of the line only."""
    tab = visit(page)
    tab.get_by_label("Right picture", exact=True).select_option("bad.png")
    for at, is_spoilt in ((20, True), (95, False)):
        tab.get_by_role("slider").fill(str(at))
        x, y = _spoilt(tab)
        shot = tab.screenshot(clip={"x": x - 9, "y": y - 9, "width": 18, "height": 18})
        red, green, blue = np.asarray(Image.open(BytesIO(shot)).convert("RGB")).mean(axis=(0, 1))
        assert (min(red, blue) - green > 200) == is_spoilt


def test_the_line_by_touch(visit, page):
    tab = visit(page, viewport=PHONE, has_touch=True, is_mobile=True)
    tab.touchscreen.tap(*_middle(tab, 0.2))
    assert _at(tab) == pytest.approx(20, abs=3)
    tab.get_by_role("button", name="400 %").tap()
    assert _zoom(tab) == "400"
    before = tab.evaluate(MOVED)
    _swipe(tab, _middle(tab, 0.7, 0.5), (-60, -40))
    after = tab.evaluate(MOVED)
    assert after != before and len(set(after)) == 1
    assert _at(tab) == pytest.approx(20, abs=3)


def _swipe(tab, start, by, also=None):
    """One finger, or two that go apart, by the browser's own touch events."""
    session = tab.context.new_cdp_session(tab)

    def send(kind, share):
        points = [{"x": start[0] + share * by[0], "y": start[1] + share * by[1], "id": 0}]
        if also:
            points.append({"x": also[0] - share * by[0], "y": also[1] - share * by[1], "id": 1})
        touches = [] if kind == "touchEnd" else points
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", 0)
    for number in range(1, 9):
        send("touchMove", number / 8)
    send("touchEnd", 1)


def test_pinched_over_the_line(visit, page):
    """One finger on each side of it: still one gesture."""
    tab = visit(page, viewport=PHONE, has_touch=True, is_mobile=True)
    tab.get_by_role("button", name="100 %").tap()
    _swipe(tab, _middle(tab, 0.3, 0.4), (-60, 0), also=_middle(tab, 0.7, 0.4))
    assert int(_zoom(tab)) > 130
    assert len(set(tab.evaluate(MOVED))) == 1


@pytest.mark.parametrize("mode", ["Slider", "Side by side", "All"])
def test_zoomed_and_moved_in_step(visit, page, mode):
    tab = visit(page)
    tab.get_by_role("radio", name=mode, exact=True).check(force=True)
    assert len(_labels(tab)) == (4 if mode == "All" else 2)
    tab.locator("#stage").press("4")
    assert _zoom(tab) == "400"
    assert tab.get_by_role("button", name="400 %").get_attribute("aria-pressed") == "true"
    moved = {str(tab.evaluate(MOVED))}
    view = tab.locator(".pane:visible").last.bounding_box()
    tab.mouse.move(view["x"] + view["width"] * 0.8, view["y"] + view["height"] * 0.7)
    tab.mouse.down()
    tab.mouse.move(view["x"] + view["width"] * 0.7, view["y"] + view["height"] * 0.5, steps=4)
    tab.mouse.up()
    moved.add(str(tab.evaluate(MOVED)))
    tab.locator("#stage").press("ArrowDown")
    moved.add(str(tab.evaluate(MOVED)))
    tab.mouse.wheel(0, 300)
    moved.add(str(tab.evaluate(MOVED)))
    assert len(moved) == 4
    assert len(set(tab.evaluate(MOVED))) == 1
    sizes = f"{SHOWN}.map(pane => pane.querySelector('.whole').getBoundingClientRect().width)"
    assert len(set(tab.evaluate(sizes))) == 1  # of the smaller result, too
    for key, zoom in (("1", "100"), ("2", "200"), ("+", "400"), ("-", "200")):
        tab.locator("#stage").press(key)
        assert _zoom(tab) == zoom
    tab.locator("#stage").press("0")
    assert tab.get_by_role("button", name="Fit").get_attribute("aria-pressed") == "true"


def test_results_are_switched(visit, page):
    tab = visit(page)
    assert _labels(tab) == ["Input", "good.png"]
    tab.get_by_label("Left picture", exact=True).select_option("bad.png")
    assert _labels(tab) == ["good.png", "bad.png"]  # in the order of the document
    assert tab.locator(".pane.left figcaption").inner_text() == "bad.png"
    tab.get_by_role("button", name="Swap").click()
    assert tab.locator(".pane.left figcaption").inner_text() == "good.png"
    tab.get_by_label("Right picture", exact=True).select_option(
        "good.png"
    )  # as on the left: they swap
    assert tab.locator(".pane.left figcaption").inner_text() == "bad.png"
    tab.locator("#stage").press("]")
    assert tab.locator(".pane.right figcaption").inner_text() == "<b>two&.png"
    assert set(tab.locator(".crop:visible bdi").all_inner_texts()) == {"bad.png", "<b>two&.png"}


def test_places_jump_to_where_they_are(visit, page):
    tab = visit(page)
    card = tab.locator('.place[data-place="0"]')
    assert "bad.png" in card.inner_text()
    card.press("Enter")
    assert _zoom(tab) == "400"
    assert tab.locator(".pane.right figcaption").inner_text() == "bad.png"
    assert card.get_attribute("aria-current") == "true"
    mark = tab.locator(".pane.right .mark").bounding_box()
    middle = mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2
    assert mark["width"] == pytest.approx(4 * SPOILT[2], abs=1)
    assert middle == pytest.approx(_middle(tab), abs=3)
    tab.keyboard.press("n")
    assert tab.locator('.place[data-place="1"]').get_attribute("aria-current") == "true"
    tab.keyboard.press("Shift+N")
    assert card.get_attribute("aria-current") == "true"


def test_the_lens_shows_what_is_under_it(visit, page):
    tab = visit(page)
    tab.get_by_label("Right picture", exact=True).select_option("bad.png")
    tab.get_by_role("button", name="Lens").click()
    tab.mouse.move(*_spoilt(tab))
    spoilt = tab.evaluate(COLOUR, ["#lens figure:last-child canvas", 0.5, 0.5])
    sound = tab.evaluate(COLOUR, ["#lens figure:first-child canvas", 0.5, 0.5])
    assert spoilt == pytest.approx([255, 0, 255], abs=3)
    assert sound != pytest.approx([255, 0, 255], abs=60)
    for key in ["ArrowLeft"] * 12:  # by keys, out of the square
        tab.locator("#stage").press(key)
    assert tab.evaluate(COLOUR, ["#lens figure:last-child canvas", 0.5, 0.5]) != spoilt
    tab.keyboard.press("Escape")
    assert not tab.locator("#lens").is_visible()


def test_the_lens_by_touch(visit, page):
    tab = visit(page, viewport=PHONE, has_touch=True, is_mobile=True)
    tab.get_by_role("button", name="Lens").tap()
    before, moved = tab.locator("#lens").bounding_box(), tab.evaluate(MOVED)
    _swipe(tab, _middle(tab, 0.7, 0.8), (40, 20))
    after = tab.locator("#lens").bounding_box()
    assert (after["x"], after["y"]) != (before["x"], before["y"])
    assert tab.evaluate(MOVED) == moved
    edge = tab.locator("#stage").bounding_box()
    assert edge["x"] <= after["x"] and after["x"] + after["width"] <= edge["x"] + edge["width"] + 1


def test_reduced_and_said_so(visit, reduced):
    tab = visit(reduced)
    note = tab.locator(".notes").inner_text()
    assert "bad is shown reduced to 150x100 of 480x320 pixels (31 %)" in note
    natural = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"
    assert tab.locator(".pane.right .whole").evaluate(natural) == [150, 100]
    tab.locator('.place[data-place="0"]').click()
    # The place is there pixel by pixel: on the stage, and in the lens.
    assert tab.locator(".pane.right .layer img").nth(1).evaluate(natural) == [256, 256]
    tab.keyboard.press("l")
    corner = tab.evaluate(COLOUR, ["#lens figure:last-child canvas", 0.5, 0.5])
    assert corner == pytest.approx([255, 0, 255], abs=3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_legible_in_light_and_dark(visit, page, scheme):
    tab = visit(page, scheme=scheme)
    legible = (
        *("h1", "header .dim", "select", ".tool", ".tool[aria-pressed=true]", "#where"),
        *("fieldset :checked + span", ".caption", ".number", ".state.kept", ".state.changed"),
        *("tbody th", "td.dim", "summary"),
    )
    check_legible(tab, scheme, legible)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone(visit, page, scheme):
    tab = visit(page, viewport=PHONE, scheme=scheme)
    widths = "[document.documentElement.scrollWidth, innerWidth]"
    assert tab.evaluate(widths) == [380, 380]
    for summary in tab.locator("summary").all():
        summary.click()
    for mode in ("Side by side", "All", "Slider"):
        tab.get_by_role("radio", name=mode, exact=True).check(force=True)
        assert tab.evaluate(widths) == [380, 380]
    assert tab.locator("#stage").bounding_box()["height"] > 200


def test_names_are_text(visit, page):
    tab = visit(page)
    assert tab.locator("b", has_text="two&").count() == 0
    assert tab.get_by_role("columnheader", name="<b>two&.png").count() >= 1
