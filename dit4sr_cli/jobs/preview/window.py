"""A box of a picture through the model, as the whole run would make it: `whole.enlarge` in part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dit4sr_cli.core import events
from dit4sr_cli.core.settings import UpscaleSettings
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.imaging.resize import bicubic_of_part, bicubic_part, needed_for
from dit4sr_cli.jobs import large, whole
from dit4sr_cli.jobs.sampling import output_size

if TYPE_CHECKING:
    from dit4sr_cli.pipeline.color import Statistics
    from dit4sr_cli.pipeline.components import Components
    from dit4sr_cli.pipeline.part import Glimpse
    from dit4sr_cli.pipeline.restore import Sampling

_ROWS = 256
"""Rows of the picture that are summed up at once."""


@dataclass(slots=True)
class Window:
    """What is looked at; gives `Upscaler.upscale_many` its `enlarge` and its `hold`.

    Args:
        box: of the picture's pixels.
        picture: its size.
        wanted: size of the whole result.
        statistics: of the whole picture, for colour fix `adain`.
        is_held: whether the result will be held to its picture.
        glimpse: what the last run took, without its image.
    """

    box: Box
    picture: Size
    wanted: Size
    statistics: Statistics
    is_held: bool
    glimpse: Glimpse | None = field(default=None, init=False)

    @property
    def place(self) -> Box:
        """Where the box lies in the result."""
        return result_box(self.box, self.picture, self.wanted)

    def enlarge(
        self,
        components: Components,
        pictures: Sequence[Pixels],
        sizes: whole.Sizes,
        sampling: Sampling,
        observe: events.Observer,
    ) -> list[Pixels]:
        """The box of one picture's result, with what `hold` needs around it."""
        from dit4sr_cli.pipeline.part import restore

        [pixels], (size, wanted) = pictures, sizes
        place = self._held_from() if self.is_held else self.place
        sides = wanted.width, wanted.height
        source = place if size == wanted else needed_for(size, sides, place)
        enlarged = large.by_parts(pixels, size, components.spec.min_cells * MULTIPLE)
        glimpse = restore(components, enlarged, source, sampling, self.statistics, observe=observe)
        result = whole.from_unit(glimpse.image, pixels)
        self.glimpse = glimpse
        return [result if size == wanted else bicubic_of_part(result, size, sides, place)]

    def hold(self, result: Pixels, pixels: Pixels, strength: float) -> Pixels:
        """The box of the result, pulled towards its picture as the whole would be."""
        from dit4sr_cli.pipeline.consistency import window

        return window(result, pixels, self.box, strength=strength, whole=self.wanted)[1]

    def _held_from(self) -> Box:
        from dit4sr_cli.pipeline.consistency import needed_for as read_by_window

        return read_by_window(self.box, self.picture, self.wanted)


def window_of(
    pixels: Pixels, box: Box, settings: UpscaleSettings, statistics: Statistics
) -> Window:
    """The window for a run with these settings.

    Raises:
        UsageError: the size makes no sense.
    """
    picture = whole.size_of(pixels)
    _, wanted = output_size(picture, settings)
    return Window(box, picture, wanted, statistics, is_held=bool(settings.fidelity))


def result_box(box: Box, picture: Size, wanted: Size) -> Box:
    """Where a box of the picture lies in its result."""
    x, right = (side * wanted.width // picture.width for side in (box.x, box.x + box.width))
    y, bottom = (side * wanted.height // picture.height for side in (box.y, box.y + box.height))
    return Box(x, y, right - x, bottom - y)


def bicubic_of(pixels: Pixels, box: Box, wanted: Size) -> Pixels:
    """What plain enlargement makes of the box."""
    place = result_box(box, whole.size_of(pixels), wanted)
    return bicubic_part(pixels, (wanted.width, wanted.height), place)


def statistics_of(pixels: Pixels) -> Statistics:
    """Mean and deviation of a picture's channels, always three, in 0..1."""
    import torch

    from dit4sr_cli.pipeline import color

    top = float(np.iinfo(pixels.dtype).max)

    def bands() -> Iterator[torch.Tensor]:
        for start in range(0, len(pixels), _ROWS):
            band = pixels[start : start + _ROWS].astype(np.float32) / top
            yield torch.from_numpy(band).permute(2, 0, 1).expand(3, -1, -1)

    return color.statistics_of(bands())
