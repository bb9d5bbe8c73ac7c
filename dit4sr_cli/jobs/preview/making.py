"""Makes the cells of a preview with one model: its texts are encoded once, then box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dit4sr_cli.core import events
from dit4sr_cli.core.types import Box
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.jobs import steps
from dit4sr_cli.jobs.preview.records import Cell
from dit4sr_cli.jobs.preview.variations import Variation
from dit4sr_cli.jobs.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.jobs.preview.window import Window
    from dit4sr_cli.jobs.upscaler import Result, Upscaler
    from dit4sr_cli.pipeline.color import Statistics

_LOADING = ("loading", "encoding text")
"""Phases that are done once, however much is enlarged."""


@dataclass(slots=True)
class Look:
    """A cell to be made, and once it is made, the cell."""

    box: Box
    variation: Variation
    caption: Caption
    cell: Cell | None = field(default=None)


def make(
    upscaler: Upscaler,
    looks: Sequence[Look],
    pixels: Pixels,
    observe: events.Observer,
) -> None:
    """Make the cells of one model."""
    from dit4sr_cli.jobs.preview.window import statistics_of

    _learn(upscaler, looks, observe)
    with upscaler.components.codec.in_use():  # read it now, so that no cell pays for it
        pass
    statistics = statistics_of(pixels)
    for number, look in enumerate(looks, start=1):
        told = steps.numbered(observe, number, len(looks), "preview")
        look.cell = _made(upscaler, look, pixels, statistics, told)


def _learn(upscaler: Upscaler, looks: Sequence[Look], observe: events.Observer) -> None:
    """Encode the texts of all combinations at once."""
    from dit4sr_cli.jobs.sampling import dialled, sampling_of

    if not upscaler.spec.text:
        return
    observe(events.PhaseStarted("encoding text"))
    texts: list[str] = []
    for look in looks:
        one = look.variation
        settings, _ = dialled(one.upscale, upscaler.spec)
        sampling = sampling_of(settings, upscaler.spec, [_caption_of(look).text], one.suffix)
        texts += sampling.prompts
        if sampling.guidance > 1:
            texts.append(sampling.negative_prompt)
    upscaler.components.encode_text(list(dict.fromkeys(texts)))


def _made(
    upscaler: Upscaler,
    look: Look,
    pixels: Pixels,
    statistics: Statistics,
    observe: events.Observer,
) -> Cell:
    from dit4sr_cli.jobs.preview.window import window_of

    one = look.variation
    window = window_of(pixels, look.box, one.upscale, statistics)
    watch = Stopwatch()
    watch.start()

    def both(event: events.Event) -> None:
        watch(event)
        observe(event)

    [result] = upscaler.upscale_many(
        [pixels],
        one.upscale,
        captions=[_caption_of(look)],
        suffix=one.suffix,
        enlarge=window.enlarge,
        hold=window.hold,
        observe=both,
    )
    return _cell(look, result, window, watch)


def _cell(look: Look, result: Result, window: Window, watch: Stopwatch) -> Cell:
    seconds, phases = watch.stop()
    glimpse = window.glimpse
    assert glimpse is not None
    taken = {phase.name.rpartition(", ")[2]: phase.seconds for phase in phases}
    seconds -= sum(taken[name] for name in taken if name.startswith(_LOADING))
    sampling = taken.get("sampling", 0.0)
    by_tiles = sampling * glimpse.whole_tiles / glimpse.tiles
    by_cells = (seconds - sampling) * glimpse.whole_cells / glimpse.cells
    return Cell(
        box=look.box,
        pixels=result.pixels,
        values=look.variation.values,
        label=look.variation.label,
        record=replace(result.record, seconds=round(seconds, 3)),
        tiles=glimpse.tiles,
        whole_tiles=glimpse.whole_tiles,
        whole_seconds=by_tiles + by_cells,
    )


def _caption_of(look: Look) -> Caption:
    from dit4sr_cli.captions.source import Caption

    prompt = look.variation.upscale.prompt
    return look.caption if prompt is None else Caption(prompt, "option")
