"""A whole study in a real browser, opened as a file: asked, answered, interrupted, counted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import images
from helpers.browser import CONTRAST, PHONE, WIDE, needs_chromium
from helpers.cli import run_cli
from PIL import Image

from dit4sr_cli.report.study.page import make
from dit4sr_cli.report.study.votes import read

pytestmark = needs_chromium

NAMES = tuple("abcdefgh")
REDNESS = """image => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [1, 1];
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0, 1, 1);
  const [red, , blue] = context.getImageData(0, 0, 1, 1).data;
  return red - blue;
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """`warm` is always the redder one; a person who sees that can always choose it."""
    folder = tmp_path_factory.mktemp("study")
    for number, name in enumerate(NAMES):
        small = images.scene(30 + number, 20)
        large = small.resize((4 * small.width, 4 * small.height), Image.Resampling.BICUBIC)
        pixels, tint = np.asarray(large).astype(int), np.array([60, 0, -60])
        tints = {"lr": small, "warm": pixels + tint, "cold": pixels - tint}
        for kind, values in tints.items():
            (folder / kind).mkdir(exist_ok=True)
            array = np.clip(np.asarray(values), 0, 255).astype(np.uint8)
            Image.fromarray(array).save(folder / kind / f"{name}.png")
    methods = {"warm": folder / "warm", "cold": folder / "cold"}
    return make(methods, folder / "lr", folder / "study.html", seed=5).path


@pytest.fixture
def tolerated() -> tuple[str, ...]:
    """What the page makes for a download."""
    return ("blob:",)


def _warm_side(tab) -> str:
    """Which of the two a person would call the warmer one."""
    left, right = (
        image.evaluate(f"image => image.decode().then(() => ({REDNESS})(image))")
        for image in tab.locator(".view img").all()[1:]
    )
    assert abs(left - right) > 60
    return "A" if left > right else "B"


def _saved(tab, folder: Path) -> Path:
    with tab.expect_download() as waiting:
        tab.get_by_role("link", name="Save votes").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def _number(tab) -> str:
    return tab.locator("#number").inner_text()


def test_a_study_by_keyboard_reloaded_in_the_middle(visit, page, tmp_path):
    tab = visit(page)
    tab.get_by_label("Your name").fill("Ann / Zoë")
    tab.keyboard.press("Enter")
    sides = []
    for number in range(1, len(NAMES) + 1):
        assert _number(tab) == f"{number} of 8"
        assert tab.locator(":checked").count() == 0
        warm = _warm_side(tab)
        sides.append(warm)
        tab.keyboard.press("Enter")  # not answered: stays
        assert _number(tab) == f"{number} of 8"
        tab.keyboard.press(warm.lower())
        if number == 4:
            tab.reload()
            assert _number(tab) == "4 of 8"
            assert tab.locator("[name=realism]:checked").count() == 1
            tab.keyboard.press(warm)  # again, to the first question
        tab.keyboard.press("t" if number == 2 else "AB".replace(warm, "").lower())
        tab.keyboard.press("Enter")
    assert set(sides) == {"A", "B"}
    assert tab.get_by_text("Done, thank you!").is_visible()
    tab.reload()
    assert tab.get_by_text("Done, thank you!").is_visible()
    path = _saved(tab, tmp_path)
    assert re.fullmatch(r"votes-[0-9a-f]{12}-5-AnnZoe\.json", path.name)
    done = run_cli("study", "tally", path, "--page", page, "--json")
    assert done.code == 0, done.stderr
    record = json.loads(done.stdout)
    realism, fidelity = (record["questions"][name] for name in ("realism", "fidelity"))
    assert realism["wins"] == {"warm": 8, "cold": 0} and realism["preferred"] == "warm"
    assert fidelity["wins"] == {"warm": 0, "cold": 7} and fidelity["undecided"] == 1
    assert record["raters"] == [{"name": "Ann / Zoë", "answered": 8, "of": 8}]
    assert set(record["pictures"]) == set(NAMES)


def test_a_study_by_touch_on_a_phone_going_back(visit, page, tmp_path):
    tab = visit(page, viewport=PHONE, has_touch=True)
    tab.get_by_role("button", name="Begin").tap()
    following, back = tab.get_by_role("button", name="Next"), tab.get_by_role("button", name="Back")
    assert back.is_disabled()
    for number in range(1, len(NAMES) + 1):
        assert following.is_disabled()
        warm = _warm_side(tab)
        for question in ("realism", "fidelity"):
            box = tab.locator(f"[data-question={question}]")
            box.locator("label", has_text=re.compile(f"^{warm}$")).tap()
        assert tab.evaluate("document.documentElement.scrollWidth") == 380
        following.tap()
        if number == 3:  # the second thoughts
            back.tap()
            assert _number(tab) == "3 of 8"
            tab.locator("[data-question=fidelity] label", has_text="tell").tap()
            following.tap()
    path = _saved(tab, tmp_path)
    ballot = read(path)
    assert ballot.rater == ""
    assert sum(vote["fidelity"] == "undecided" for vote in ballot.sides) == 1
    done = run_cli("study", "tally", path)
    assert done.code == 0
    assert b"warm is preferred" in done.stdout


def test_starting_over_is_another_person(visit, page, tmp_path):
    tab = visit(page)
    tab.on("dialog", lambda dialog: dialog.accept())

    def whole_study(name: str) -> Path:
        tab.get_by_label("Your name").fill(name)
        tab.get_by_role("button", name="Begin").click()
        for _ in NAMES:
            tab.keyboard.press("a")
            tab.keyboard.press("b")
            tab.get_by_role("button", name="Next").press("Enter")
        return _saved(tab, tmp_path)

    first = whole_study("")
    tab.get_by_role("button", name="Start over").click()
    assert tab.get_by_role("heading", name="Which picture is better?").is_visible()
    second = whole_study("Bo")
    assert read(first).session != read(second).session
    done = run_cli("study", "tally", first, second, "--json")
    assert [rater["name"] for rater in json.loads(done.stdout)["raters"]] == ["rater 1", "Bo"]
    tab.get_by_role("button", name="Look again").click()
    assert _number(tab) == "8 of 8"


def _transforms(tab) -> list[str]:
    return [
        tab.evaluate("image => image.style.transform.match(/scale\\((.*)\\)/)[1]", image)
        for image in tab.locator(".view img").element_handles()
    ]


def _at(tab, view: int) -> list[float]:
    """The place of the picture, in its own pixels, that is in the middle of a view."""
    return tab.evaluate(
        """number => {
          const view = document.querySelectorAll('.view')[number];
          const box = view.getBoundingClientRect();
          const image = view.querySelector('img'), seen = image.getBoundingClientRect();
          const zoom = seen.width / image.width;
          return [(box.left + box.width / 2 - seen.left) / zoom,
                  (box.top + box.height / 2 - seen.top) / zoom];
        }""",
        view,
    )


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_all_three_pictures_move_as_one(visit, page, viewport):
    tab = visit(page, viewport=viewport)
    tab.get_by_role("button", name="Begin").click()
    tab.get_by_role("button", name="400").click()
    assert _transforms(tab) == ["4", "4", "4"]
    assert tab.get_by_role("button", name="400").get_attribute("aria-pressed") == "true"
    box = tab.locator(".view").nth(1).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = _at(tab, 1)
    tab.mouse.move(*middle)
    tab.mouse.down()
    tab.mouse.move(middle[0] - 40, middle[1] + 8, steps=4)
    tab.mouse.up()
    after = _at(tab, 1)
    assert after[0] - before[0] == pytest.approx(10, abs=0.01)
    for view in (0, 2):
        assert _at(tab, view) == pytest.approx(after, abs=0.3)

    corner = box["x"] + 30, box["y"] + 40
    tab.mouse.move(*corner)
    tab.mouse.wheel(0, -200)
    assert float(_transforms(tab)[1]) == pytest.approx(4 * 2**0.5, rel=1e-3)
    assert len(set(_transforms(tab))) == 1
    tab.keyboard.press("1")
    assert _transforms(tab) == ["1", "1", "1"]
    assert "at 100 %" in tab.locator("#size").inner_text()
    tab.keyboard.press("+")
    assert _transforms(tab) == ["2", "2", "2"]
    tab.keyboard.press("0")
    assert tab.get_by_role("button", name="All").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_legible_and_whole_on_any_screen(visit, page, viewport, scheme):
    tab = visit(page, viewport=viewport, scheme=scheme)
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert tab.evaluate(CONTRAST, "footer") >= 4.5
    tab.get_by_role("button", name="Begin").click()
    tab.keyboard.press("a")
    for what in ("#number", "legend", "#size", "#questions :checked + span", "#questions span"):
        assert tab.evaluate(CONTRAST, what) >= 4.5, what
    assert tab.evaluate(size) == [viewport["width"], viewport["height"]]
    inside = tab.locator("#next").bounding_box()
    assert inside["y"] + inside["height"] <= viewport["height"]


def test_a_page_without_a_memory_says_so(visit, page):
    tab = visit(page)
    tab.evaluate("Storage.prototype.setItem = () => { throw new Error('none'); }; show()")
    assert tab.get_by_text("This browser keeps nothing").is_visible()
    tab.get_by_role("button", name="Begin").click()
    tab.keyboard.press("a")
    assert tab.locator("[name=realism]:checked").count() == 1
