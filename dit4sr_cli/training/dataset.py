"""Photographs to training tiles: sample i is a function of the seed and i, so runs can resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Generator, Tensor
from torch.utils.data import Dataset

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.training.degrade import (
    SCALE,
    degrade,
    degrade_lightly,
    degrade_once,
    draws,
    from_pil,
    to_pil,
)
from dit4sr_cli.training.originals import as_taken, with_figures
from dit4sr_cli.training.photos import Photo, read_manifest

Degrade: TypeAlias = Callable[[Tensor, Generator], Tensor]
"""Reduces [3, H, W] to [3, H/4, W/4]."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_CROP = 256
_MAX_REDUCTION = 2.0


def load_photographs(folder: Path) -> list[np.ndarray]:
    """All photographs of a folder as uint8 [H, W, 3]; those of the manifest cropped and reduced.

    Raises:
        InputError: a file is damaged, or no photograph is large enough.
    """
    known = {photo.name: photo for photo in read_manifest()}
    photographs = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        image = _load(path, known.get(path.name))
        if min(image.size) >= _CROP:
            photographs.append(np.asarray(image))
    if not photographs:
        raise InputError(
            f"{folder}: no photograph of {_CROP} pixels or more in it",
            hint="`dit4sr data photos FOLDER` fetches those the embedded model was made of",
        )
    return photographs


def _load(path: Path, photo: Photo | None) -> Image.Image:
    try:
        with Image.open(path) as image:
            rgb = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if photo is None:
        return rgb
    if photo.crop is not None:
        rgb = rgb.crop(photo.crop)
    return rgb.reduce(photo.reduce)


class TileDataset(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of tiles, cut from freshly degraded crops.

    Item i is `tiles_per_crop` tiles: (original, enlarged LR), each uint8 [n, 3, tile, tile].
    """

    def __init__(
        self,
        photographs: Sequence[np.ndarray],
        *,
        seed: int,
        tile: int,
        tiles_per_crop: int,
        light_share: float,
        length: int,
        once_share: float = 0.0,
        soft_share: float = 0.0,
        figures_share: float = 0.0,
        detailed: bool = False,
    ) -> None:
        self.photographs = photographs
        # Large pictures count by their side, not their area: more scenes, fewer skies.
        sides = np.array([float(p.shape[0] * p.shape[1]) ** 0.5 for p in photographs])
        self.weights = torch.from_numpy(sides / sides.sum())
        self.seed, self.tile, self.tiles_per_crop = seed, tile, tiles_per_crop
        self.light_share, self.once_share = light_share, once_share
        self.soft_share, self.figures_share = soft_share, figures_share
        self.length, self.detailed = length, detailed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = Generator().manual_seed(self.seed * 1_000_003 + index)
        crop = self._crop(generator)
        how = self._draw_degradation(generator)
        crop = self._changed(crop, how, generator)
        small = how(crop, generator)
        enlarged = to_pil(small).resize((_CROP, _CROP), Image.Resampling.BICUBIC)
        pair = torch.stack([crop, from_pil(enlarged)])
        # Smooth tiles teach little, except how a picture looks that has nothing to restore.
        candidates = 2 if self.detailed and how is not degrade_lightly else 1
        tiles = torch.stack(
            [self._tile(pair, candidates, generator) for _ in range(self.tiles_per_crop)], dim=1
        )
        tiles = (tiles * 255).round().to(torch.uint8)
        return tiles[0], tiles[1]

    def _draw_degradation(self, generator: Generator) -> Degrade:
        """Only reduced, degraded once, or as the paper does, each so often."""
        drawn = float(torch.rand((), generator=generator))
        if drawn < self.light_share:
            return degrade_lightly
        return degrade_once if drawn < self.light_share + self.once_share else degrade

    def _changed(self, crop: Tensor, how: Degrade, generator: Generator) -> Tensor:
        """Some are as soft and grainy as a camera's files, some have figures drawn over them."""
        if how is degrade_lightly:  # only there can it be seen that softness and grain are to stay
            is_soft = self.soft_share > 0 and draws.chance(self.soft_share, generator)
            return as_taken(crop, generator) if is_soft else crop
        has_figures = self.figures_share > 0 and draws.chance(self.figures_share, generator)
        return with_figures(crop, generator) if has_figures else crop

    def _crop(self, generator: Generator) -> Tensor:
        """A turned, mirrored crop [3, 256, 256] at a random reduction of a random photograph."""
        which = int(torch.multinomial(self.weights, 1, generator=generator))
        photograph = self.photographs[which]
        largest = min(_MAX_REDUCTION, min(photograph.shape[:2]) / _CROP)
        factor = 1 + (largest - 1) * float(torch.rand((), generator=generator)) ** 2
        side = min(int(_CROP * factor), *photograph.shape[:2])
        top, left = (
            int(torch.randint(0, extent - side + 1, (), generator=generator))
            for extent in photograph.shape[:2]
        )
        window = Image.fromarray(photograph[top : top + side, left : left + side])
        if side != _CROP:
            window = window.resize((_CROP, _CROP), Image.Resampling.LANCZOS)
        crop = from_pil(window)
        turns = int(torch.randint(0, 8, (), generator=generator)) % 4
        is_mirrored = bool(torch.randint(0, 2, (), generator=generator))
        crop = torch.rot90(crop, turns, (1, 2))
        return crop.flip(2) if is_mirrored else crop

    def _tile(self, pair: Tensor, candidates: int, generator: Generator) -> Tensor:
        """A window of both pictures: of so many the one with most detail."""
        windows = [self._window(pair, generator) for _ in range(candidates)]
        return max(windows, key=lambda window: float(window[0].diff(dim=2).square().mean()))

    def _window(self, pair: Tensor, generator: Generator) -> Tensor:
        """A window of both pictures whose corner lies on a whole LR pixel."""
        places = (_CROP - self.tile) // SCALE + 1
        y, x = (int(torch.randint(0, places, (), generator=generator)) * SCALE for _ in range(2))
        return pair[..., y : y + self.tile, x : x + self.tile]
