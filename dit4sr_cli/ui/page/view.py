"""The page as a whole: its parts, and the clock that keeps them up to date."""

from __future__ import annotations

from importlib.resources import files

from nicegui import ui

from dit4sr_cli import __version__
from dit4sr_cli.core.errors import Dit4srError
from dit4sr_cli.ui.desk import Photo, State
from dit4sr_cli.ui.page.elements import Drop
from dit4sr_cli.ui.page.rows import Row, Seen
from dit4sr_cli.ui.page.settings import Settings
from dit4sr_cli.ui.page.stage import Stage
from dit4sr_cli.ui.studio import Studio

_SECONDS = 0.25
"""Between looks at what has changed: as often as a person can follow."""
_BUSY = (State.WAITING, State.RUNNING)


def draw(studio: Studio, most_bytes: int) -> None:
    """Build the page for a browser that has asked for it."""
    ui.add_css(files(__package__).joinpath("page.css").read_text("utf-8"))
    View(studio, most_bytes)


class View:
    """One browser's view of the studio; what is selected is its own."""

    def __init__(self, studio: Studio, most_bytes: int) -> None:
        self._studio = studio
        self._selected = ""
        self._rows: dict[str, Row] = {}
        self._model = ""
        with ui.element("main").classes("page") as self._page:
            with ui.element("header").classes("top"):
                with ui.element("h1"):
                    ui.label("dit4sr")
                ui.label(f"{__version__}, on this machine").classes("dim")
            self._stage = Stage(studio)
            with ui.element("section").classes("photos"):
                self._list = ui.element("ul").props('aria-label="Photographs"')
                self._drop = Drop(most_bytes=most_bytes, on_taken=self._select)
            with ui.element("aside").props('aria-label="Settings"'):
                Settings(studio)
                with ui.element("div").classes("go"):
                    with ui.element("button").props("type=button").classes("button primary") as one:
                        self._one_words = ui.label("Enlarge")
                    with ui.element("button").props("type=button").classes("button") as every:
                        self._every_words = ui.label()
                one.on("click", self._enlarge_one)
                every.on("click", self._enlarge_all)
                self._one, self._every = one, every
        self.refresh()
        ui.timer(_SECONDS, self.refresh)

    def refresh(self) -> None:
        """Show what is on the desk now."""
        photos = {photo.key: photo for photo in self._studio.desk}
        for key in [key for key in self._rows if key not in photos]:
            self._rows.pop(key).delete()
        if self._selected not in photos:
            self._selected = next(iter(photos), "")
        for key, photo in photos.items():
            if key not in self._rows:
                with self._list:
                    self._rows[key] = Row(self._studio, photo, self._select)
            place = self._studio.place_in_line(key)
            self._rows[key].show(Seen(photo, place, key == self._selected))
        self._note_model()
        self._stage.show(photos.get(self._selected))
        self._show_buttons(photos.get(self._selected), list(photos.values()))
        self._drop.set_large(not photos)
        self._page.classes(add="" if photos else "empty", remove="empty" if photos else "")

    def _show_buttons(self, photo: Photo | None, photos: list[Photo]) -> None:
        is_possible = photo is not None and photo.state not in _BUSY
        if self._one.props.get("disabled") != (not is_possible):
            self._one.props["disabled"] = not is_possible
            self._one.update()
        again = photo is not None and photo.outcome is not None
        self._one_words.set_text("Enlarge again" if again else "Enlarge")
        left = [one for one in photos if one.state in (State.READY, State.CANCELLED)]
        self._every.set_visibility(len(left) > 1)
        self._every_words.set_text(f"Enlarge all {len(left)}")

    def _note_model(self) -> None:
        """What the chosen model does with captions; looked up when another is chosen."""
        from dit4sr_cli.weights.resolve import resolve, resolve_captioner

        name = self._studio.choices.model
        if name == self._model:
            return
        self._model = name
        try:
            found = resolve(name)
            asked = resolve_captioner(self._studio.fixed.caption.captioner)
        except Dit4srError as error:
            self._stage.tell(error.message)
            return
        self._stage.note_model(found.spec.text, asked is not None, found.name)

    def _select(self, key: str) -> None:
        self._selected = key
        self.refresh()

    def _enlarge_one(self) -> None:
        self._enlarge([self._selected])

    def _enlarge_all(self) -> None:
        self._enlarge(
            [p.key for p in self._studio.desk if p.state in (State.READY, State.CANCELLED)]
        )

    def _enlarge(self, keys: list[str]) -> None:
        try:
            for key in keys:
                self._studio.enlarge(key, self._studio.choices)
        except Dit4srError as error:
            self._stage.tell(f"{error.message} ({error.hint})" if error.hint else error.message)
        else:
            self._stage.tell("")
        self.refresh()
