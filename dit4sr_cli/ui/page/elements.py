"""The page's own elements: where photographs are dropped, the slider, and the part to try."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui
from nicegui.events import GenericEventArguments

from dit4sr_cli.core.types import Size


class Drop(ui.element, component="drop.js"):
    """Takes photographs that are dropped on the page, or chosen; says which are refused."""

    def __init__(self, *, most_bytes: int, on_taken: Callable[[str], None]) -> None:
        super().__init__()
        self._props["most"] = most_bytes
        self.on("taken", lambda event: on_taken(_text(event)))

    def set_large(self, is_large: bool) -> None:
        """Large, where there is nothing else to see."""
        if self._props.get("large") != is_large:
            self._props["large"] = is_large
            self.update()


class Wipe(ui.element, component="wipe.js"):
    """Two pictures of one thing, over each other, and a line between them that can be moved."""

    def show(self, before: str, after: str, size: Size, name: str) -> None:
        """Two addresses; `size` is that of the larger picture."""
        wanted = {
            "before": before,
            "after": after,
            "width": size.width,
            "height": size.height,
            "name": name,
        }
        if any(self._props.get(key) != value for key, value in wanted.items()):
            self._props.update(wanted)
            self.update()


class Spot(ui.element, component="spot.js"):
    """A photograph, and a frame on it that is put where one clicks, or moved by arrow keys."""

    def __init__(self, on_move: Callable[[tuple[float, float]], None]) -> None:
        super().__init__()
        self.on("move", lambda event: on_move(_place(event)))

    def show(
        self, source: str, size: Size, spot: tuple[float, float], part: Size, name: str
    ) -> None:
        """The photograph's address and size, the frame's middle in shares, and its size."""
        wanted = {
            "source": source,
            "width": size.width,
            "height": size.height,
            "x": spot[0],
            "y": spot[1],
            "w": min(1.0, part.width / size.width),
            "h": min(1.0, part.height / size.height),
            "name": name,
        }
        if any(self._props.get(key) != value for key, value in wanted.items()):
            self._props.update(wanted)
            self.update()


def _text(event: GenericEventArguments) -> str:
    return str(event.args)


def _place(event: GenericEventArguments) -> tuple[float, float]:
    """What a browser sends is held to the picture."""
    x, y = (min(1.0, max(0.0, float(part))) for part in event.args)
    return x, y
