"""Makes the README's picture: what bicubic and nano make of the same small photograph, at 100 %.

    python tools/readme_pictures.py                    # docs/images/before-after.png, from cat.jpg
    python tools/readme_pictures.py --photo chelsea.png    # cat.jpg first, from the photograph

`chelsea.png` comes with scikit-image (`skimage/data`); docs/images/README.md says whose it is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SMALL, PICTURE = IMAGES / "cat.jpg", IMAGES / "before-after.png"
FACTOR, QUALITY, GAP = 4, 75, 8


def reduce(photo: Path, target: Path) -> None:
    """Write a quarter of the photograph, as a small JPEG of the kind that people have."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    size = (picture.width // FACTOR, picture.height // FACTOR)
    whole = (0, 0, size[0] * FACTOR, size[1] * FACTOR)
    picture.resize(size, Image.Resampling.BICUBIC, box=whole).save(target, quality=QUALITY)


def side_by_side(small: Path) -> Image.Image:
    """Bicubic on the left, what `dit4sr upscale` makes of it on the right."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.png"
        upscale = ["upscale", str(small), "-o", str(result), "--model", "nano", "--quiet"]
        subprocess.run([sys.executable, "-m", "dit4sr_cli", *upscale], check=True)
        with Image.open(result) as opened:
            after = opened.convert("RGB")
    with Image.open(small) as opened:
        before = opened.convert("RGB").resize(after.size, Image.Resampling.BICUBIC)
    picture = Image.new("RGB", (2 * after.width + GAP, after.height), "white")
    picture.paste(before, (0, 0))
    picture.paste(after, (after.width + GAP, 0))
    return picture


def main() -> None:
    """Write the picture, and before it the small photograph, if a large one is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--photo", type=Path, help="the photograph to reduce to cat.jpg first")
    parser.add_argument("-o", "--output", type=Path, default=PICTURE)
    given = parser.parse_args()
    if given.photo:
        reduce(given.photo, SMALL)
    side_by_side(SMALL).save(given.output, optimize=True)


if __name__ == "__main__":
    main()
