"""Draws docs/images/streams.svg and path.svg, in colours that stand on light and on dark.

python tools/drawings.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"
BLUE, GREEN, GOLD, GREY = "#cfe3f7", "#d3ecd0", "#f6e6b8", "#e3e3e6"
INK, LINE = "#1d2430", "#7f8894"
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
    'font-family="system-ui, sans-serif" font-size="14" role="img">\n<title>{2}</title>\n'
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 8 4 0 8z" fill="' + LINE + '"/></marker></defs>\n'
)


def box(x: int, y: int, width: int, height: int, colour: str, *lines: str) -> str:
    """A box with lines of text in its middle."""
    top = y + height / 2 + 5 - 9 * (len(lines) - 1)
    texts = (
        f'<text x="{x + width / 2:g}" y="{top + 18 * i:g}" fill="{INK}" text-anchor="middle">'
        f"{line}</text>"
        for i, line in enumerate(lines)
    )
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{colour}"/>'
    return "\n".join([frame, *texts])


def arrow(*points: tuple[int, int], dashed: bool = False) -> str:
    """A line through points, with a tip."""
    path = " ".join(f"{x} {y}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<path d="M{path}" fill="none" stroke="{LINE}" stroke-width="2"{dash} '
        'marker-end="url(#tip)"/>'
    )


def note(x: int, y: int, text: str, anchor: str = "start") -> str:
    """Text outside of boxes."""
    return f'<text x="{x}" y="{y}" fill="{LINE}" text-anchor="{anchor}">{text}</text>'


def streams() -> list[str]:
    """One block: three streams, joint attention, L's residual, the injection."""
    rows = (("L", "the input, enlarged", GREEN), ("X", "the picture", BLUE), ("text", "", GOLD))
    parts = [box(404, 46, 104, 294, GREY, "joint", "attention")]
    for (name, about, colour), y in zip(rows, (60, 170, 280), strict=True):
        own = " + own" if name == "L" else ""
        parts += [
            box(10, y, 70, 46, colour, name),
            box(124, y, 90, 46, colour, "norm,", "modulate"),
            box(258, y, 102, 46, colour, f"q k v{own}"),
            box(552, y, 80, 46, colour, "output"),
            box(676, y, 80, 46, colour, "linear"),
            box(836, y, 80, 46, colour, "linear"),
            *(
                arrow((a, y + 23), (b, y + 23))
                for a, b in ((80, 122), (214, 256), (360, 402), (508, 550), (632, 674), (756, 834))
            ),
            arrow((916, y + 23), (958, y + 23)),
            note(10, y + 64, about),
        ]
    parts += [
        arrow((230, 83), (230, 26), (592, 26), (592, 58), dashed=True),
        note(244, 18, "residual of L around its attention"),
        box(744, 121, 102, 34, GREEN, "conv 3 x 3"),
        arrow((795, 83), (795, 119)),
        arrow((795, 155), (795, 191)),
        note(854, 143, "injection"),
        note(
            10,
            364,
            "L shares norms, modulation and feed-forward weights with X; of q k v the base.",
        ),
        note(10, 384, "Residuals around each half, and gates, are left out."),
    ]
    return parts


def path() -> list[str]:
    """From file to file."""
    above: Sequence[tuple[int, int, str, tuple[str, ...]]] = (
        (10, 110, GREY, ("file or pipe",)),
        (158, 120, GREEN, ("read:", "pixels, profile,", "metadata")),
        (316, 110, GREEN, ("bicubic x4",)),
        (464, 120, GREEN, ("codec.encode",)),
    )
    parts = [box(x, 20, width, 64, colour, *lines) for x, width, colour, lines in above]
    parts += [arrow((a, 52), (b, 52)) for a, b in ((120, 156), (278, 314), (426, 462))]
    parts += [
        box(640, 20, 250, 156, BLUE, "denoise: steps x tiles", "", "transformer(x, L, t, text)"),
        arrow((584, 52), (638, 52)),
        note(602, 44, "L"),
        box(158, 112, 120, 64, GREY, "seed and", "position"),
        box(316, 112, 110, 28, GREY, "noise"),
        arrow((278, 126), (314, 126)),
        arrow((426, 126), (638, 126)),
        box(316, 148, 110, 28, GOLD, "prompt"),
        box(464, 148, 120, 28, GOLD, "text encoders"),
        arrow((426, 162), (462, 162)),
        arrow((584, 162), (638, 162)),
        arrow((765, 176), (765, 218)),
        box(700, 220, 130, 64, BLUE, "blend tiles,", "codec.decode"),
        arrow((700, 252), (648, 252)),
        box(496, 220, 150, 64, BLUE, "match colours,", "hold to the source"),
        arrow((496, 252), (444, 252)),
        box(262, 220, 180, 64, GREEN, "write: profile, metadata,", "record; then rename"),
        arrow((262, 252), (122, 252)),
        box(10, 220, 110, 64, GREY, "file or pipe"),
        arrow((218, 84), (218, 98), (140, 98), (140, 200), (352, 200), (352, 218), dashed=True),
        note(148, 194, "alpha, profile, metadata"),
    ]
    return parts


def main() -> None:
    """Write both."""
    for name, size, title, parts in (
        ("streams", (970, 400), "One block of the transformer", streams()),
        ("path", (900, 300), "The path of a picture", path()),
    ):
        text = HEAD.format(*size, title) + "\n".join(parts) + "\n</svg>\n"
        (IMAGES / f"{name}.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
