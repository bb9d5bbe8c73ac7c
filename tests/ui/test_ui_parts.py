"""The page's parts without a browser: choices, captions, the line of what waits."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dit4sr_cli.captions.source import Caption
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import CaptionSettings, ModelSettings
from dit4sr_cli.core.types import Precision, Preset, Size
from dit4sr_cli.ui.desk import Photo
from dit4sr_cli.ui.form import Choices, Fixed, in_words, prompt_of, request_for
from dit4sr_cli.ui.names import plain_name
from dit4sr_cli.ui.security import is_loopback
from dit4sr_cli.ui.worker import Kind, Task, Worker

PHOTO = Photo(key="k", name="a.jpg", source=Path("/x/k/in/a.jpg"), size=Size(30, 20))
FIXED = Fixed(model=ModelSettings(), caption=CaptionSettings(), max_megapixels=400)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (Choices(scale=9), "scale has to be from 1 to 8"),
        (Choices(scale=None), "scale is missing"),
        (Choices(steps=2.5), "steps has to be a whole number from 1 to 1000"),
        (Choices(seed=-1), "seed has to be a whole number"),
        (Choices(seed=2**32), "seed has to be a whole number"),
        (Choices(fidelity=float("nan")), "fidelity has to be from 0 to 1"),
        (Choices(guidance=101), "guidance has to be from 0 to 100"),
        (Choices(preset="fastest"), "no such preset"),
        (Choices(format="exe"), "no such preset or format"),
    ],
)
def test_choices_that_the_command_line_would_not_take(choices, said):
    """Whatever a browser sends."""
    with pytest.raises(UsageError, match=said):
        request_for(PHOTO, choices, FIXED, Path("out"))


def test_choices_become_what_the_command_line_would_ask_for():
    choices = Choices(model="nano", preset="draft", fidelity=0.5, scale=2, steps=3, seed=7)
    request = request_for(PHOTO, choices, FIXED, Path("out"))
    assert request.upscale.preset is Preset.DRAFT
    assert (request.upscale.scale, request.upscale.steps, request.upscale.seed) == (2.0, 3, 7)
    assert request.model.precision is Precision.FAST  # as with --preset draft
    assert request.output.target == Path("out")
    assert in_words(choices) == "x2, draft, 3 steps, fidelity 0.5, seed 7"


def test_whose_words_a_caption_is():
    assert prompt_of(PHOTO) is None
    assert prompt_of(replace(PHOTO, caption=" A cup. ")) == "A cup."
    said = replace(PHOTO, said=Caption("A cup.", "captioner:x"), caption="A cup.")
    assert prompt_of(said) is None  # the captioner's, and the record will say so
    assert prompt_of(replace(said, caption="A red cup.")) == "A red cup."


def test_a_model_that_reads_no_text_gets_none():
    photo = replace(PHOTO, caption="A cup.")
    assert request_for(photo, Choices(model="nano"), FIXED, Path("o")).upscale.prompt is None


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Küste & Möwen.png", "Küste & Möwen.png"),
        ("../a/b.jpg", "b.jpg"),
        ("x:y.jpg", "y.jpg"),
        ("scan 12:30.jpg", "scan 12:30.jpg"),
        (".hidden.jpg", ".hidden.jpg"),
    ],
)
def test_names(sent, name):
    assert plain_name(sent) == name


def test_what_is_reached_from_elsewhere():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org")))


def test_paths_are_not_shown():
    said = "/x/k/in/a.jpg: broken, /x/k/out-1/a_x4.png: full"
    assert PHOTO.plainly(said) == "a.jpg: broken, out-1/a_x4.png: full"


class _Doing:
    """Tasks that note what happens to them; the first goes on until it is let."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def task(self, name: str, *, waits: bool = False) -> Task:
        def work(check: events.Observer) -> None:
            self.heard.append(f"{name} begins")
            if waits:
                self.begun.set()
                assert self.go_on.wait(10)
            check(events.Advanced(1))
            self.heard.append(f"{name} ends")

        return Task(name, Kind.WHOLE, work, lambda: self.heard.append(f"{name} is called off"))


def test_one_after_the_other_and_some_first():
    doing, worker = _Doing(), Worker()
    worker.submit(doing.task("a", waits=True))
    assert doing.begun.wait(10)
    worker.submit(doing.task("b"))
    worker.submit(doing.task("c"))
    worker.submit(doing.task("d"), first=True)
    assert [task.key for task in worker.waiting()] == ["d", "b", "c"]
    worker.cancel("b", Kind.LOOK)  # of another kind
    worker.cancel("c", *Kind)
    worker.cancel("a", Kind.WHOLE)
    last = threading.Event()
    worker.submit(Task("e", Kind.LOOK, lambda check: last.set(), lambda: None))
    doing.go_on.set()
    assert last.wait(10)
    assert doing.heard == [
        *("a begins", "c is called off", "a is called off"),
        *("d begins", "d ends", "b begins", "b ends"),
    ]
    assert worker.close(10)


def test_the_end_calls_off_what_runs():
    doing, worker = _Doing(), Worker()
    worker.submit(doing.task("a", waits=True))
    worker.submit(doing.task("b"))
    assert doing.begun.wait(10)
    threading.Timer(0.1, doing.go_on.set).start()
    assert worker.close(10)
    assert doing.heard == ["a begins", "a is called off"]
