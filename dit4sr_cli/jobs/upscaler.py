"""The public Upscaler: pictures in, pictures out, whatever model is behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dit4sr_cli.captions.prompts import NEGATIVE_PROMPT, compose
from dit4sr_cli.captions.source import NO_CAPTION, Caption
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError, OutOfMemoryError, UsageError
from dit4sr_cli.core.settings import UpscaleSettings
from dit4sr_cli.core.shortcuts import Shortcuts
from dit4sr_cli.core.types import ColorFix, Grid, Quantize, Size, StartPoint
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.jobs import whole
from dit4sr_cli.jobs.record import Record
from dit4sr_cli.jobs.sampling import (
    dialled,
    model_size,
    or_default,
    output_size,
    sampling_of,
    tiles_in,
)

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from dit4sr_cli.pipeline.components import Components
    from dit4sr_cli.pipeline.restore import Sampling
    from dit4sr_cli.weights.spec import ModelSpec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """The picture and how it was made. `pixels` have the input's type and number of channels."""

    pixels: Pixels
    record: Record

    @property
    def image(self) -> Image:
        """The picture for Pillow: 8 bits a channel, RGB or grey."""
        from PIL import Image

        pixels = self.pixels
        if pixels.dtype == np.uint16:
            pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


class Upscaler:
    """A loaded model. `Upscaler.load().upscale(image).image.save("out.png")` is the whole of it."""

    def __init__(self, components: Components, name: str, revision: str = "") -> None:
        self.components = components
        self.name = name
        self.revision = revision

    @property
    def spec(self) -> ModelSpec:
        """The model's defaults and needs."""
        return self.components.spec

    @classmethod
    def load(
        cls,
        model: str = "auto",
        device: str = "auto",
        dtype: str | torch.dtype | None = None,
        *,
        t5: bool = True,
        low_memory: bool = False,
        quantize: Quantize | str = Quantize.NONE,
        plain: bool = False,
        observe: events.Observer = events.ignore,
    ) -> Upscaler:
        """Check a model's files and get ready; each part is read when it is first used.

        Args:
            model: `auto`, `nano`, a name in the models folder, or a folder.
            device: `auto`, `cuda`, `mps` or `cpu`.
            dtype: `fp32`, `fp16`, `bf16`, `fast` or a torch dtype; None: what suits the device.
            t5: False leaves out the largest of the text encoders.
            low_memory: hold one block of the transformer in memory at a time.
            quantize: `int8`, `int4` or `fp8` hold its matrices in fewer bits.
            plain: compute as it was published, a tile at a time; for comparison.
            observe: hears of warnings.

        Raises:
            ModelError: the model is not there, or damaged.
            UsageError: the device is not there, or cannot compute like that.
        """
        from dit4sr_cli.core.paths import cache_dir
        from dit4sr_cli.pipeline.assemble import assemble
        from dit4sr_cli.weights.resolve import resolve

        found = resolve(model)
        components = assemble(
            found,
            device=device,
            precision=_precision(dtype),
            t5=t5,
            low_memory=low_memory,
            quantize=Quantize(quantize),
            plain=plain,
            cache=cache_dir() / "embeddings",
            observe=observe,
        )
        return cls(components, found.name, found.revision)

    def learn(
        self,
        prompts: Sequence[str],
        *,
        suffix: str | None = None,
        negative_prompt: str | None = None,
        guidance: float | None = None,
    ) -> None:
        """Encode all texts of a run at once, so that the text encoders are read only once."""
        if not self.spec.text:
            return
        texts = [compose(prompt, suffix) for prompt in prompts]
        if or_default(guidance, self.spec.guidance) > 1:
            texts.append(or_default(negative_prompt, NEGATIVE_PROMPT))
        self.components.encode_text(texts)

    def upscale(
        self,
        image: Image | Pixels,
        *,
        scale: float | None = None,
        long_edge: int | None = None,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        suffix: str | None = None,
        prompt_origin: str = "option",
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
        start: StartPoint | str | None = None,
        color_fix: ColorFix | str | None = None,
        tile: int | None = None,
        overlap: int | None = None,
        fidelity: float | None = None,
        observe: events.Observer = events.ignore,
        **more: Any,
    ) -> Result:
        """Enlarge and restore a picture.

        Args:
            image: a Pillow image (read as RGB or grey), or uint8 or uint16 [H, W], [H, W, 1 or 3].
            scale: 1 to 8; 4 if neither this nor `long_edge` is given.
            long_edge: the result's longer side in pixels, in place of `scale`.
            prompt: what the picture shows; for models with text encoders.
            negative_prompt: what to lead away from; for models with text encoders.
            suffix: what follows the prompt; None: the words that the weights were tuned with.
            prompt_origin: for the record: who wrote the prompt.
            steps: of the sampler. For this and what follows, None is as the model says.
            guidance: classifier-free guidance.
            seed: of the starting noise.
            start: `noise` or `lr`.
            color_fix: `adain`, `wavelet` or `none`.
            tile: side of the sampler's tiles in latent cells of 8 pixels.
            overlap: of the tiles, in latent cells.
            fidelity: 0, free, to 1, faithful: sets start and guidance where they are not given,
                and holds the result to the picture.
            observe: hears of phases, tiles and warnings.
            more: further fields of `core.settings.UpscaleSettings`: `preset`, `solver` and so on.

        Raises:
            UsageError: a setting makes no sense.
        """
        settings = UpscaleSettings(
            scale=4.0 if scale is None else scale,
            long_edge=long_edge,
            steps=steps,
            guidance=guidance,
            seed=seed,
            prompt=prompt,
            negative_prompt=negative_prompt,
            start=start,
            color_fix=color_fix,
            tile=tile,
            overlap=overlap,
            fidelity=fidelity,
            **more,
        )
        caption = NO_CAPTION if prompt is None else Caption(prompt, prompt_origin)
        [result] = self.upscale_many(
            [whole.as_pixels(image)], settings, captions=[caption], suffix=suffix, observe=observe
        )
        return result

    def upscale_many(
        self,
        pictures: Sequence[Pixels],
        settings: UpscaleSettings,
        *,
        captions: Sequence[Caption],
        suffix: str | None = None,
        enlarge: whole.Enlarge = whole.enlarge,
        hold: whole.Hold = whole.hold,
        observe: events.Observer = events.ignore,
    ) -> list[Result]:
        """Enlarge pictures of one size together; each comes out as alone, but for rounding.

        Args:
            pictures: uint8 or uint16 [H, W, 1 or 3].
            settings: of all; their prompt counts for nothing here.
            captions: what each picture shows.
            suffix: what follows the captions; None: the words that the weights were tuned with.
            enlarge: how pixels go through the model: in memory, by strips, or in part.
            hold: how results are held to their pictures, if the dial asks for it.
            observe: hears of phases, tiles and warnings.

        Raises:
            UsageError: a setting makes no sense, or sizes differ.
            OutOfMemoryError: they are too many or too large.
        """
        started = time.monotonic()
        size = whole.size_of(pictures[0])
        if any(whole.size_of(pixels) != size for pixels in pictures):
            raise UsageError("pictures that are enlarged together have to be of one size")
        settings, projection = dialled(settings, self.spec)
        factor, wanted = output_size(size, settings)
        texts = [caption.text for caption in captions]
        plain = self.components.plain
        sampling = sampling_of(settings, self.spec, texts, suffix, plain=plain)
        self._warn_ignored(settings, observe)
        sizes = model_size(size, factor, self.spec), wanted
        results, sampling = self._with_what_fits(
            lambda sampling: enlarge(self.components, pictures, sizes, sampling, observe),
            sampling,
            observe,
        )
        if projection:
            results = [
                hold(result, pixels, projection)
                for result, pixels in zip(results, pictures, strict=True)
            ]
        record = self._record(sampling, size, wanted)
        record = replace(
            record,
            tiles=len(tiles_in(sizes[0], sampling.tiling, self.spec)),
            seconds=round((time.monotonic() - started) / len(pictures), 3),
        )
        return [
            Result(result, self._with_words(record, prompt, caption))
            for result, prompt, caption in zip(results, sampling.prompts, captions, strict=True)
        ]

    def _record(self, sampling: Sampling, size: Size, wanted: Size) -> Record:
        return Record(
            model=self.name,
            revision=self.revision,
            steps=sampling.steps,
            guidance=sampling.guidance,
            seed=sampling.seed,
            start=sampling.start.value,
            color_fix=sampling.color_fix.value,
            tile=sampling.tiling.size,
            overlap=sampling.tiling.overlap,
            grid=Grid(sampling.tiling.grid).value,
            shift=sampling.shift,
            **_plain_values(sampling.shortcuts),
            tiles=0,
            device=str(self.components.device),
            dtype=_name(self.components.dtype),
            seconds=0.0,
            input_size=(size.width, size.height),
            output_size=(wanted.width, wanted.height),
            prompt="",
            negative_prompt=sampling.negative_prompt,
            caption="",
            prompt_origin="none",
            quantize=self.components.quantize.value,
        )

    def _with_words(self, record: Record, prompt: str, caption: Caption) -> Record:
        if not self.spec.text:
            return record
        return replace(record, prompt=prompt, caption=caption.text, prompt_origin=caption.origin)

    def _with_what_fits(
        self, run: Callable[[Sampling], list[T]], sampling: Sampling, observe: events.Observer
    ) -> tuple[list[T], Sampling]:
        """What `run` makes, and the settings that it was possible with."""
        from dit4sr_cli.pipeline import memory
        from dit4sr_cli.pipeline.denoise import OverflowedError

        while True:
            try:
                return run(sampling), sampling
            except OverflowedError:
                self._widen(observe)
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
                sampling = _with_smaller_tiles(sampling, self.spec, observe)
            memory.release(self.components.device)

    def _widen(self, observe: events.Observer) -> None:
        """Go on in a precision that reaches farther; the pictures that follow, too."""
        narrow, wide = self.components, self.components.wider()
        if wide is None:
            raise ModelError(
                f"{self.name}: its values are not finite, in {_name(narrow.dtype)}",
                hint="damaged weights do that: see `dit4sr models verify`",
            )
        narrow.transformer.release()
        observe(
            events.Warned(f"{_name(narrow.dtype)} overflowed: computing in {_name(wide.dtype)} now")
        )
        self.components = wide

    def _warn_ignored(self, settings: UpscaleSettings, observe: events.Observer) -> None:
        if self.spec.text:
            return
        given = {"prompt": settings.prompt, "negative prompt": settings.negative_prompt}
        for name, value in given.items():
            if value is not None:
                observe(events.Warned(f"{self.name} reads no text: the {name} is ignored"))
        if (settings.guidance or 0) > 1:
            observe(events.Warned(f"{self.name} reads no text: guidance changes nothing"))


def _plain_values(shortcuts: Shortcuts) -> dict[str, Any]:
    return {**asdict(shortcuts), "solver": shortcuts.solver.value}


def _with_smaller_tiles(sampling: Sampling, spec: ModelSpec, observe: events.Observer) -> Sampling:
    from dit4sr_cli.pipeline.restore import smaller_tiling

    if len(sampling.prompts) > 1:  # the caller may do with fewer, which changes nothing
        raise OutOfMemoryError(
            f"not enough memory for {len(sampling.prompts)} pictures at once",
            hint="enlarge them one by one",
        )
    tiling = smaller_tiling(sampling.tiling, spec.min_cells)
    if tiling is None:
        raise OutOfMemoryError(
            f"not enough memory, even for tiles of {sampling.tiling.size} cells",
            hint="try --low-memory, a smaller --scale, or --device cpu",
        )
    observe(
        events.Warned(
            f"memory is short: tiles of {tiling.size} cells in place of {sampling.tiling.size}, "
            "which changes the picture a little"
        )
    )
    return replace(sampling, tiling=tiling)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _precision(dtype: str | torch.dtype | None) -> str:
    if dtype is None:
        return "auto"
    name = str(dtype).removeprefix("torch.")
    names = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
    name = names.get(name, name)
    if name not in ("auto", "fast", *names.values()):
        raise ModelError(f"{dtype}: not a precision the models run in")
    return name
