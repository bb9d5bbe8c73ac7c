"""The photograph that is looked at: its result beside it, a part to try, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from dit4sr_cli.core.errors import Dit4srError
from dit4sr_cli.core.types import Size
from dit4sr_cli.ui.desk import Photo
from dit4sr_cli.ui.page.elements import Spot, Wipe
from dit4sr_cli.ui.studio import Studio
from dit4sr_cli.ui.trial import PART

_SHOWN = {
    "model": "Model",
    "steps": "Steps",
    "guidance": "Guidance",
    "seed": "Seed",
    "solver": "Solver",
    "tiles": "Tiles",
    "device": "Device",
    "dtype": "Arithmetic",
    "caption": "Caption",
    "prompt_origin": "Caption from",
}


class Stage:
    """Shows one photograph at a time."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._photo: Photo | None = None
        self._problem = ""
        with ui.element("section").classes("stage-card") as self._card:
            with ui.element("header"):
                self._name = ui.label().classes("title").props("dir=auto role=heading aria-level=2")
                self._view = ui.toggle(
                    {"result": "Before and after", "part": "Try a part"},
                    value="part",
                    on_change=self._refresh,
                ).props("dense no-caps unelevated")
            with ui.element("div").classes("result") as self._result_part:
                self._result = Wipe()
                with ui.element("a").classes("button") as self._compare:
                    ui.label("Compare in detail")
                self._compare.props("target=_blank rel=noopener")
            with ui.element("div").classes("part") as self._part:
                self._spot = Spot(self._move)
                with ui.element("div").classes("trial"):
                    self._trial = Wipe()
                    self._trial_words = ui.label().classes("dim")
                    with ui.element("div").classes("line"):
                        self._try = _button("Try this part", self._try_part)
                        self._stop = _button("Cancel", self._stop_trying)
                        self._trying = ui.label().classes("dim").props("role=status")
            self._alert = ui.label().classes("problem").props("role=alert")
            with ui.element("div").classes("caption"):
                self._caption = (
                    ui.textarea("What it shows", on_change=self._describe_by_hand)
                    .props("outlined dense autogrow debounce=200")
                    .mark("caption")
                )
                self._ask = _button("Describe", self._ask_captioner)
            self._reads = ui.label().classes("dim")
            self._how = ui.html(sanitize=False, tag="dl").classes("how")
            self._warnings = ui.label().classes("warnings")

    def show(self, photo: Photo | None) -> None:
        """Bring it up to date, with this photograph."""
        before, self._photo = self._photo, photo
        self._card.set_visibility(photo is not None)
        if photo is None:
            return
        is_other = before is None or before.key != photo.key
        if is_other or before.run != photo.run:  # type: ignore[union-attr]
            self._view.set_value("part" if photo.outcome is None else "result")
        if is_other:
            self._problem = ""
        if is_other or self._photo is not before:
            self._refresh()

    def tell(self, problem: str) -> None:
        """What is wrong with what was just asked for; empty: nothing."""
        self._problem = problem
        self._refresh()

    def note_model(self, reads_text: bool, can_ask: bool, name: str) -> None:
        """What the chosen model does with captions."""
        self._ask.set_visibility(reads_text and can_ask)
        self._reads.set_text(
            ("" if can_ask else "No captioner is installed: write it yourself, or leave it empty.")
            if reads_text
            else f"{name} reads no text: the caption is kept for a model that does."
        )

    def _refresh(self) -> None:
        photo = self._photo
        if photo is None:
            return
        self._name.set_text(photo.name)
        self._view.set_visibility(photo.outcome is not None)
        is_part = self._view.value == "part" or photo.outcome is None
        self._part.set_visibility(is_part)
        self._result_part.set_visibility(not is_part)
        self._show_result(photo)
        self._show_part(photo)
        self._alert.set_text(self._problem or (photo.problem if photo.trying == "" else ""))
        if self._caption.value != photo.caption:
            self._caption.set_value(photo.caption)
        self._show_how(photo)

    def _show_result(self, photo: Photo) -> None:
        if photo.outcome is None:
            return
        at = f"/photos/{photo.key}"
        size = Size(*photo.outcome.output_size)
        self._result.show(f"{at}/before.jpg", f"{at}/after-{photo.run}.jpg", size, photo.name)
        page = f"{at}/compare/{photo.run}"
        if self._compare.props.get("href") != page:
            self._compare.props["href"] = page
            self._compare.update()

    def _show_part(self, photo: Photo) -> None:
        at, trial = f"/photos/{photo.key}", photo.trial
        self._spot.show(f"{at}/before.jpg", photo.size, photo.spot, PART, photo.name)
        self._trial.set_visibility(trial is not None)
        self._trial_words.set_text("" if trial is None else trial.words)
        if trial is not None:
            before, after = f"{at}/{trial.before.name}", f"{at}/{trial.after.name}"
            self._trial.show(before, after, trial.size, f"the part of {photo.name}")
        self._try.set_visibility(not photo.trying)
        self._stop.set_visibility(bool(photo.trying))
        self._trying.set_text(f"{photo.trying} ..." if photo.trying else "")

    def _show_how(self, photo: Photo) -> None:
        made = photo.outcome
        self._how.set_visibility(made is not None)
        self._warnings.set_text("\n".join(made.warnings) if made is not None else "")
        if made is None:
            return
        values: dict[str, Any] = {label: getattr(made, name) for name, label in _SHOWN.items()}
        if made.fidelity is not None:
            values["Fidelity"] = made.fidelity["verdict"]
        self._how.set_content(_pairs(values))

    # ------------------------------------------------------------------ what is done

    def _move(self, spot: tuple[float, float]) -> None:
        if self._photo is not None:
            self._studio.desk.change(self._photo.key, spot=spot)

    def _describe_by_hand(self) -> None:
        if self._photo is not None and self._caption.value != self._photo.caption:
            text = self._caption.value or ""
            self._photo = self._studio.desk.change(self._photo.key, caption=text)

    def _try_part(self) -> None:
        if self._photo is None:
            return
        key = self._photo.key
        self._attempt(lambda: self._studio.try_spot(key, self._studio.choices))

    def _stop_trying(self) -> None:
        if self._photo is not None:
            self._studio.cancel_look(self._photo.key)

    def _ask_captioner(self) -> None:
        if self._photo is not None:
            key = self._photo.key
            self._attempt(lambda: self._studio.describe(key))

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Dit4srError as error:
            self.tell(f"{error.message} ({error.hint})" if error.hint else error.message)
        else:
            self.tell("")


def _pairs(values: dict[str, Any]) -> str:
    from html import escape

    shown = {name: str(value) for name, value in values.items() if value not in ("", None, "none")}
    return "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in shown.items())


def _button(text: str, act: Callable[[], None]) -> ui.element:
    with ui.element("button").props("type=button").classes("button") as button:
        ui.label(text)
    button.on("click", act)
    return button
