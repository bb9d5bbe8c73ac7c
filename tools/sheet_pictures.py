r"""Makes the small pictures of nano's sheet, with originals, from scikit-image's photographs.

    python tools/sheet_pictures.py FOLDER
    dit4sr eval FOLDER/lr --reference FOLDER/hr --model nano --outputs PEER=DIR \
        --sheet sheet.png --sheet-crop 200

Degraded in second order, as an old photograph would be; the same each time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image

from dit4sr_cli.training.degrade import degrade, from_pil, to_pil

CROPS = {
    "astronaut": ("astronaut.png", 100),
    "coffee": ("coffee.png", 120),
    "rocket": ("rocket.jpg", 120),
    "chelsea": ("chelsea.png", 60),
}
"""File of skimage/data, and where the square begins from the left."""
SIDE, FIRST_SEED = 400, 7


def main() -> None:
    """Write FOLDER/hr and FOLDER/lr."""
    import skimage.data

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for place in ("hr", "lr"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for seed, (name, (file, left)) in enumerate(CROPS.items(), FIRST_SEED):
        with Image.open(Path(skimage.data.__file__).parent / file) as photo:
            side = min(SIDE, photo.height // 4 * 4)
            original = photo.convert("RGB").crop((left, 0, left + side, side))
        original.save(folder / "hr" / f"{name}.png")
        small = degrade(from_pil(original), torch.Generator().manual_seed(seed))
        to_pil(small).save(folder / "lr" / f"{name}.png")


if __name__ == "__main__":
    main()
