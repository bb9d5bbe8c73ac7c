"""Attention as a picture: bars of shares by block, and maps over the photograph for points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.inspection.attention import Look
from dit4sr_cli.model.attention_map import BlockAttention

WIDTH = 1160
_EDGE, _LABEL, _GAP, _ROW = 32, 92, 28, 27
_BAR = (WIDTH - 2 * _EDGE - _LABEL - _GAP) // 2
_MAPS_A_LINE, _MAP_GAP = 6, 12
_MAP = (WIDTH - 2 * _EDGE - (_MAPS_A_LINE - 1) * _MAP_GAP) // _MAPS_A_LINE
_PAPER, _INK, _DIM, _LINE = "#ffffff", "#1c1e21", "#5f646b", "#d5d5d0"
_COLOURS = {"X": "#2459c4", "L": "#e08a1e", "text": "#8b9097"}
_INKS = {"X": "#ffffff", "L": "#1c1e21", "text": "#1c1e21"}
_HEAT = np.array([[255, 214, 60], [240, 110, 30], [200, 30, 60], [110, 10, 110]], np.float32)
_DIRECTIONS = (("X at the point, where it looks in L", 0, 1), ("L at the point, in X", 1, 0))


class _Sheet:
    """Paper that is written from top to bottom."""

    def __init__(self, height: int) -> None:
        self.image = Image.new("RGB", (WIDTH, height), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.y = _EDGE

    def write(self, text: str, size: int = 15, colour: str = _INK, after: int = 8) -> None:
        font = _font(size)
        while text and self.draw.textlength(text, font) > WIDTH - 2 * _EDGE:
            text = text[:-2].rstrip() + "…"
        self.draw.text((_EDGE, self.y), text, fill=colour, font=font)
        self.y += size + after


def draw(seen: Look) -> Image.Image:
    """The whole picture, RGB, on white."""
    lines = -(-len(seen.blocks) // _MAPS_A_LINE)
    map_height = _map_size(seen)[1] + 40
    height = 330 + len(seen.blocks) * _ROW
    height += len(seen.points) * (2 * (lines * map_height + 40) + _map_size(seen)[1] + 130)
    sheet = _Sheet(height)
    _head(sheet, seen)
    _bars(sheet, seen)
    for number in range(len(seen.points)):
        _maps_of(sheet, seen, number)
    return sheet.image.crop((0, 0, WIDTH, min(height, sheet.y + _EDGE - 12)))


def _head(sheet: _Sheet, seen: Look) -> None:
    sheet.write(f"Joint attention of {seen.model}", 26, after=12)
    where = f"{seen.photo}, {seen.size}"
    if seen.tiles > 1:
        tile = seen.tile
        where += f", of which the tile {tile.width}x{tile.height} at {tile.x},{tile.y}"
    level = f"step {seen.step} of {seen.steps}, noise level {seen.sigma:.2f}"
    sheet.write(f"{where}; {level}; {seen.grid[1]} x {seen.grid[0]} tokens", colour=_DIM)
    kind = "of the prompt" if seen.reads_text else "that are learned, there is no prompt"
    x, low, text = (f"{100 * share:.1f} %" for share in seen.even)
    sheet.write(
        f"X: the picture that is made. L: the low-resolution input. text: {seen.text_tokens} "
        f"tokens {kind}.",
        colour=_DIM,
    )
    sheet.write(
        f"Means over heads and tokens. If all tokens were alike: X {x}, L {low}, text {text}.",
        colour=_DIM,
    )
    if not seen.is_joint:
        sheet.write(
            "This model attends separately (ablation A): X and L do not see each other in "
            "attention.",
            colour="#b3202a",
        )
    sheet.y += 14


def _bars(sheet: _Sheet, seen: Look) -> None:
    lefts = (_EDGE + _LABEL, _EDGE + _LABEL + _BAR + _GAP)
    for left, title in zip(lefts, ("Where X looks", "Where L looks"), strict=True):
        sheet.draw.text((left, sheet.y), title, fill=_INK, font=_font(17))
        at = left + _BAR
        for name in ("text", "L", "X"):
            at -= 16 + int(sheet.draw.textlength(name, _font(14)))
            sheet.draw.rectangle((at - 16, sheet.y + 4, at - 4, sheet.y + 16), fill=_COLOURS[name])
            sheet.draw.text((at, sheet.y + 1), name, fill=_INK, font=_font(14))
            at -= 20
    sheet.y += 30
    for block in seen.blocks:
        sheet.draw.text((_EDGE, sheet.y + 4), _name(block), fill=_INK, font=_font(14))
        for row, left in enumerate(lefts):
            _bar(sheet, left, [float(share) for share in block.shares[row]])
        sheet.y += _ROW
    sheet.y += 26


def _bar(sheet: _Sheet, left: int, shares: Sequence[float]) -> None:
    font, at = _font(13), float(left)
    for name, share in zip(("X", "L", "text"), shares, strict=True):
        to = at + share * _BAR
        if round(to) > round(at):
            area = (round(at), sheet.y + 1, round(to) - 1, sheet.y + _ROW - 4)
            sheet.draw.rectangle(area, fill=_COLOURS[name])
            text = f"{100 * share:.0f} %"
            if sheet.draw.textlength(text, font) + 8 <= to - at:
                place = ((at + to) / 2, sheet.y + _ROW / 2 - 1)
                sheet.draw.text(place, text, fill=_INKS[name], font=font, anchor="mm")
        at = to


def _maps_of(sheet: _Sheet, seen: Look, number: int) -> None:
    x, y = seen.points[number]
    sheet.draw.line((_EDGE, sheet.y - 14, WIDTH - _EDGE, sheet.y - 14), fill=_LINE)
    sheet.write(f"The point {x},{y}", 20, after=10)
    small = Image.fromarray(seen.picture).resize(_map_size(seen), Image.Resampling.LANCZOS)
    marked = small.copy()
    _mark(marked, seen, number, "#ffffff", "#d0104c")
    sheet.image.paste(marked, (_EDGE, sheet.y))
    words = (
        "The input as the model is given it, with the point.",
        "Below, each map is painted up to its own largest weight, from yellow over red to purple.",
        "The figure is the share of all attention that goes into the map.",
    )
    for line, text in enumerate(words):
        place = (_EDGE + marked.width + 20, sheet.y + 4 + 24 * line)
        sheet.draw.text(place, text, fill=_DIM, font=_font(15))
    sheet.y += max(marked.height, 24 * len(words)) + 22
    for title, asking, seen_in in _DIRECTIONS:
        sheet.write(title, 16, after=10)
        for index, block in enumerate(seen.blocks):
            column = index % _MAPS_A_LINE
            if index and not column:
                sheet.y += small.height + 40
            left = _EDGE + column * (_MAP + _MAP_GAP)
            weights = block.maps[number, asking, seen_in].view(seen.grid).numpy()
            painted = Image.fromarray(_painted(small, weights))
            _mark(painted, seen, number, "#ffffff", "#1c1e21")
            sheet.image.paste(painted, (left, sheet.y))
            text = f"{_name(block)}: {100 * float(weights.sum()):.1f} %"
            place = (left, sheet.y + small.height + 5)
            sheet.draw.text(place, text, fill=_INK, font=_font(13))
        sheet.y += small.height + 44
    sheet.y += 14


def _painted(picture: Image.Image, weights: Any) -> Pixels:
    """Pale grey, under a colour where the weight is; tokens stay squares."""
    grey = np.asarray(picture.convert("L"), np.float32)[..., None]
    pale = 110 + grey * 0.57
    largest = float(weights.max())
    if largest <= 0:
        return np.rint(np.broadcast_to(pale, (*pale.shape[:2], 3))).astype(np.uint8)
    plane = Image.fromarray((weights / largest).astype(np.float32))
    share = np.asarray(plane.resize(picture.size, Image.Resampling.NEAREST))[..., None]
    place = np.clip(share, 0, 1) * (len(_HEAT) - 1)
    lower = np.minimum(place.astype(np.intp), len(_HEAT) - 2)[..., 0]
    heat = _HEAT[lower] + (_HEAT[lower + 1] - _HEAT[lower]) * (place - lower[..., None])
    cover = np.clip(share * 2.5, 0, 0.85)
    return np.rint(pale * (1 - cover) + heat * cover).astype(np.uint8)


def _mark(image: Image.Image, seen: Look, number: int, halo: str, ink: str) -> None:
    row, column = seen.cells[number]
    x = (column + 0.5) * image.width / seen.grid[1]
    y = (row + 0.5) * image.height / seen.grid[0]
    pen = ImageDraw.Draw(image)
    for radius, colour, width in ((8, halo, 4), (7, ink, 2)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)


def _map_size(seen: Look) -> tuple[int, int]:
    rows, columns = seen.grid
    height = max(1, round(_MAP * rows / columns))
    if height <= 2 * _MAP:
        return _MAP, height
    return max(1, round(2 * _MAP * columns / rows)), 2 * _MAP


def _name(block: BlockAttention) -> str:
    return f"block {block.block}" + (" attn2" if block.name == "attn2" else "")


def _font(size: int) -> Any:
    return ImageFont.load_default(size=size)
