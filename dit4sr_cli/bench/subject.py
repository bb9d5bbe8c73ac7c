"""What a worker runs: a loaded model on a picture from file to file, or random weights alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from dit4sr_cli.bench.lap import Lap
from dit4sr_cli.bench.memory import peak_resident
from dit4sr_cli.bench.random_model import FreeCodec, components
from dit4sr_cli.bench.task import Task
from dit4sr_cli.captions.source import NO_CAPTION
from dit4sr_cli.core.events import Observer, PhaseStarted
from dit4sr_cli.core.settings import CaptionSettings, ModelSettings, OutputSettings
from dit4sr_cli.core.types import CaptionChoice, Size
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.jobs import plan
from dit4sr_cli.jobs import upscale as job
from dit4sr_cli.jobs.record import Record
from dit4sr_cli.jobs.sampling import output_size, tiles_of
from dit4sr_cli.jobs.stopwatch import Stopwatch
from dit4sr_cli.jobs.upscaler import Upscaler
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.device import pick_device

if TYPE_CHECKING:
    from dit4sr_cli.jobs.whole import Sizes
    from dit4sr_cli.pipeline.components import Components
    from dit4sr_cli.pipeline.restore import Sampling


class Subject:
    """A task, run as often as it is asked for; the model is loaded in the first run."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._device = pick_device(task.variant.model.device)
        self._watch = Stopwatch(settle=partial(_settle, self._device))
        self._base = _peak(self._device)
        self._upscaler: Upscaler | None = None
        self._codec = FreeCodec(task.random.config.in_channels if task.random else 1)

    def run(self) -> Lap:
        """One run.

        Raises:
            Dit4srError: as `dit4sr upscale` would.
        """
        self._watch.start()
        record = self._from_file_to_file() if self.task.random is None else self._random_weights()
        seconds, phases = self._watch.stop()
        assert self._upscaler is not None
        return Lap(
            seconds=seconds,
            first_tile=self._watch.first_tile,
            phases=phases,
            tokens=self._tokens(record, self._upscaler.components),
            megapixels=math.prod(record.output_size) / 1e6,
            peak_bytes=_peak(self._device),
            base_bytes=self._base,
            free_bytes=memory.free_bytes(self._device),
            model=record.model,
            device=record.device,
            dtype=record.dtype,
            warnings=tuple(self._watch.warnings),
        )

    def keep(self) -> None:
        """Write down what the last run made, if it is not there already."""
        if self.task.random is not None:
            np.save(self.task.result, self._codec.decoded().numpy())

    def _from_file_to_file(self) -> Record:
        variant, task = self.task.variant, self.task
        request = plan.Request(
            source=task.source,
            upscale=variant.upscale,
            caption=CaptionSettings(caption=CaptionChoice.NONE),
            model=variant.model,
            # No record: to name weights of many gigabytes they would be read once more.
            output=OutputSettings(target=task.result, overwrite=True, record=False),
        )
        return job.run(request, load=self._loaded, observe=self._watch)

    def _loaded(self, settings: ModelSettings, observe: Observer) -> Upscaler:
        if self._upscaler is None:
            self._upscaler = job.load_upscaler(settings, observe, plain=self.task.variant.plain)
        return self._upscaler

    def _random_weights(self) -> Record:
        architecture, variant = self.task.random, self.task.variant
        assert architecture is not None
        if self._upscaler is None:
            parts = components(architecture, variant.model, self._codec, plain=variant.plain)
            self._upscaler = Upscaler(parts, parts.spec.name)
        self._codec.clear()
        blank = np.zeros((self.task.size.height, self.task.size.width, 3), np.uint8)
        [result] = self._upscaler.upscale_many(
            [blank],
            variant.upscale,
            captions=[NO_CAPTION],
            enlarge=_without_pixels,
            observe=self._watch,
        )
        return result.record

    def _tokens(self, record: Record, parts: Components) -> int:
        """X, L and text: of all tiles and steps, and of both halves of guidance."""
        asked = self.task.variant.upscale
        used = replace(asked, tile=record.tile, overlap=record.overlap, grid=record.grid)
        size = Size(*record.input_size)
        factor, _ = output_size(size, used)
        tile = tiles_of(size, factor, used, parts.spec)[0]
        patch = parts.config.patch_size
        image = 2 * (tile.width // patch) * (tile.height // patch)
        [text] = parts.encode_text([record.prompt])
        calls = record.tiles * record.steps * (2 if record.guidance > 1 else 1)
        return calls * (image + text.prompt_embeds.shape[1])


def _without_pixels(
    components: Components,
    pictures: Sequence[Pixels],
    sizes: Sizes,
    sampling: Sampling,
    observe: Observer,
) -> list[Pixels]:
    """The sampler on latents of the working size, whatever the picture shows."""
    from dit4sr_cli.pipeline.restore import restore

    size, _ = sizes
    observe(PhaseStarted("encoding"))
    generator = torch.Generator().manual_seed(2)
    image = torch.rand(3, size.height, size.width, generator=generator)
    restore(components, [image], sampling, observe=observe)
    return list(pictures)


def _settle(device: torch.device) -> None:
    """Wait for what the device was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else peak_resident()
