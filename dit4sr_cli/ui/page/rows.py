"""The list of photographs: what each waits for, how far it is, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nicegui import ui

from dit4sr_cli.core.types import Size
from dit4sr_cli.ui.desk import Photo, State
from dit4sr_cli.ui.studio import Studio

_BUSY = (State.WAITING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a row shows: if none of it has changed, there is nothing to do."""

    photo: Photo
    place: int
    is_selected: bool


class Row:
    """One photograph of the list."""

    def __init__(self, studio: Studio, photo: Photo, select: Callable[[str], None]) -> None:
        self._seen: Seen | None = None
        key = photo.key
        with ui.element("li").classes("photo") as self._row:
            with ui.element("button").props("type=button").classes("pick") as self._pick:
                ui.element("img").props(f'src="/photos/{key}/thumbnail.jpg" alt=""')
                with ui.element("span").classes("words"):
                    ui.label(photo.name).classes("name").props("dir=auto")
                    self._status = ui.label().classes("status")
                    self._bar = ui.linear_progress(show_value=False, size="3px")
            self._pick.on("click", lambda: select(key))
            with ui.element("span").classes("actions"):
                self._download = ui.element("a").classes("button strong")
                with self._download:
                    ui.label("Download")
                self._cancel = _button("Cancel", lambda: studio.cancel(key))
                self._remove = _button("Remove", lambda: studio.remove(key))
        for button, what in ((self._cancel, "Cancel"), (self._remove, "Remove")):
            button.props["aria-label"] = f"{what} {photo.name}"
        self._download.props["aria-label"] = f"Download the result of {photo.name}"

    def show(self, seen: Seen) -> None:
        """Bring it up to date."""
        if seen == self._seen:
            return
        self._seen, photo = seen, seen.photo
        self._row.classes(replace=f"photo {photo.state.value}" + " selected" * seen.is_selected)
        self._pick.props["aria-current"] = "true" if seen.is_selected else "false"
        self._pick.update()
        self._status.set_text(status_of(photo, seen.place))
        share = photo.progress.share if photo.state is State.RUNNING else None
        self._bar.set_visibility(share is not None)
        self._bar.set_value(share or 0)
        self._download.set_visibility(photo.result is not None and photo.state not in _BUSY)
        if photo.result is not None:
            self._download.props["href"] = f"/photos/{photo.key}/result/{photo.run}"
            self._download.props["download"] = photo.result.name
            self._download.update()
        self._cancel.set_visibility(photo.state in _BUSY)
        self._remove.set_visibility(photo.state not in _BUSY)

    def delete(self) -> None:
        """It was taken away."""
        self._row.delete()


def status_of(photo: Photo, place: int) -> str:
    """`640x427, 2nd in line`."""
    pages = f", {photo.pages} pages" if photo.pages > 1 else ""
    return f"{photo.size}{pages} · {_state_of(photo, place)}"


def _state_of(photo: Photo, place: int) -> str:
    if photo.state is State.WAITING:
        return "next in line" if place <= 1 else f"number {place} in line"
    if photo.state is State.RUNNING:
        progress = photo.progress
        share = f", {progress.share:.0%}" if progress.share is not None else ""
        return f"{progress.phase or 'begins'}{share}"
    if photo.state is State.FAILED:
        return photo.problem
    if photo.state is State.DONE and photo.outcome is not None:
        made = photo.outcome
        return f"{Size(*made.output_size)} in {made.seconds:.1f} s, {made.model}"
    return photo.state.value


def _button(text: str, act: Callable[[], None]) -> ui.element:
    with ui.element("button").props("type=button").classes("button") as button:
        ui.label(text)
    button.on("click", act)
    return button
