"""The public Upscaler: pictures in, pictures out, whatever model is behind it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dit4sr_cli.captions.prompts import NEGATIVE_PROMPT, compose
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError, OutOfMemoryError, UsageError
from dit4sr_cli.core.settings import MAX_SCALE, MIN_SCALE, UpscaleSettings
from dit4sr_cli.core.sizes import MULTIPLE, working_size
from dit4sr_cli.core.types import ColorFix, Grid, StartPoint
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.imaging.resize import bicubic
from dit4sr_cli.jobs.record import Record

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from dit4sr_cli.pipeline.components import Components
    from dit4sr_cli.pipeline.restore import Sampling
    from dit4sr_cli.weights.spec import ModelSpec

LUMA = (0.299, 0.587, 0.114)


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
        observe: events.Observer = events.ignore,
    ) -> Upscaler:
        """Check a model's files and get ready; each part is read when it is first used.

        Args:
            model: `auto`, `nano`, a name in the models folder, or a folder.
            device: `auto`, `cuda`, `mps` or `cpu`.
            dtype: `fp32`, `fp16`, `bf16` or a torch dtype; None: what suits the device.
            t5: False leaves out the largest of the text encoders.
            low_memory: hold one block of the transformer in memory at a time.
            observe: hears of warnings.

        Raises:
            ModelError: the model is not there, or damaged.
            UsageError: the device is not there.
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
        if _or(guidance, self.spec.guidance) > 1:
            texts.append(_or(negative_prompt, NEGATIVE_PROMPT))
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

        Raises:
            UsageError: a setting makes no sense.
        """
        started = time.monotonic()
        settings = UpscaleSettings(
            scale=4.0 if scale is None else scale,
            long_edge=long_edge,
            steps=steps,
            guidance=guidance,
            seed=seed,
            prompt=prompt,
            negative_prompt=negative_prompt,
            start=None if start is None else StartPoint(start),
            color_fix=None if color_fix is None else ColorFix(color_fix),
            tile=tile,
            overlap=overlap,
            fidelity=fidelity,
        )
        settings, projection = _dialled(settings, self.spec)
        pixels = _as_pixels(image)
        size = (pixels.shape[1], pixels.shape[0])
        factor, output_size = _output_size(size, settings)
        sampling = _sampling(self.spec, settings, suffix)
        self._warn_ignored(settings, observe)
        count = _Counter(observe)
        work, sampling = self._restore(pixels, factor, sampling, count)
        result = bicubic(work, output_size) if _size(work) != output_size else work
        if projection:
            from dit4sr_cli.pipeline.consistency import project

            project(result, pixels, strength=projection)
        reads = self.spec.text
        record = Record(
            model=self.name,
            revision=self.revision,
            steps=sampling.steps,
            guidance=sampling.guidance,
            seed=seed,
            start=sampling.start.value,
            color_fix=sampling.color_fix.value,
            tile=sampling.tiling.size,
            overlap=sampling.tiling.overlap,
            tiles=count.total // sampling.steps,
            device=str(self.components.device),
            dtype=_name(self.components.dtype),
            seconds=round(time.monotonic() - started, 3),
            input_size=size,
            output_size=output_size,
            prompt=sampling.prompt,
            negative_prompt=sampling.negative_prompt,
            caption=(prompt or "") if reads else "",
            prompt_origin=prompt_origin if reads and prompt is not None else "none",
        )
        return Result(result, record)

    def _restore(
        self, pixels: Pixels, factor: float, sampling: Sampling, observe: events.Observer
    ) -> tuple[Pixels, Sampling]:
        """The picture at the model's size, and the settings that it was possible with."""
        from dit4sr_cli.pipeline import memory
        from dit4sr_cli.pipeline.denoise import OverflowedError

        while True:
            try:
                return _restore(self.components, pixels, factor, sampling, observe), sampling
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


class _Counter:
    """Passes events on, and remembers how many tiles there were."""

    def __init__(self, observe: events.Observer) -> None:
        self.observe, self.total = observe, 0

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.PhaseStarted) and event.total:
            self.total = event.total
        self.observe(event)


def _restore(
    components: Components,
    pixels: Pixels,
    scale: float,
    sampling: Sampling,
    observe: events.Observer,
) -> Pixels:
    """The restored picture at the size the model works at, as [H, W, C] of the input's type."""
    import torch

    from dit4sr_cli.pipeline.restore import restore

    spec = components.spec
    size = _working_size(_size(pixels), scale, spec)
    enlarged = _padded(bicubic(pixels, size), spec.min_cells * MULTIPLE)
    image = torch.from_numpy(np.ascontiguousarray(enlarged.transpose(2, 0, 1)))
    image = image.to(torch.float32).div_(np.iinfo(pixels.dtype).max)
    restored = restore(components, image.expand(3, -1, -1), sampling, observe=observe)
    return _from_unit(restored[:, : size[1], : size[0]], pixels)


def _working_size(size: tuple[int, int], scale: float, spec: ModelSpec) -> tuple[int, int]:
    if spec.native_scale:
        return size[0] * spec.native_scale, size[1] * spec.native_scale
    return working_size(size, scale, spec.process_size)


def _padded(pixels: Pixels, shortest: int) -> Pixels:
    """Mirrored at the right and bottom to multiples of 8, and to the smallest grid."""
    height, width = pixels.shape[:2]
    bottom = max(shortest, -(-height // MULTIPLE) * MULTIPLE) - height
    right = max(shortest, -(-width // MULTIPLE) * MULTIPLE) - width
    if not (bottom or right):
        return pixels
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="symmetric")


def _from_unit(image: torch.Tensor, like: Pixels) -> Pixels:
    """[3, H, W] in 0..1 to [H, W, C] of the type and channels of `like`, rounded."""
    import torch

    if like.shape[2] == 1:
        image = (image * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
    out = np.empty((image.shape[1], image.shape[2], image.shape[0]), like.dtype)
    top = np.iinfo(like.dtype).max
    for channel in range(image.shape[0]):
        out[..., channel] = (image[channel] * top).round_().numpy()
    return out


def _as_pixels(image: Image | Pixels) -> Pixels:
    """Any accepted picture as uint8 or uint16 [H, W, 1 or 3]."""
    if not isinstance(image, np.ndarray):
        grey = image.mode in ("1", "L", "LA")
        image = np.asarray(image.convert("L" if grey else "RGB"))
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 3:
        raise UsageError(f"a picture of type {pixels.dtype} and shape {image.shape} is not read")
    if pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise UsageError(f"a picture of shape {image.shape} is not read")
    return pixels


def _output_size(size: tuple[int, int], settings: UpscaleSettings) -> tuple[float, tuple[int, int]]:
    """The factor and the result's (width, height)."""
    if settings.long_edge is None:
        scale, what = settings.scale, "--scale"
    else:
        scale, what = settings.long_edge / max(size), "--long-edge"
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise UsageError(
            f"{what}: a factor of {scale:.3g} is outside {MIN_SCALE:g} to {MAX_SCALE:g}",
            hint=f"the picture is {size[0]}x{size[1]} pixels",
        )
    return scale, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def _dialled(settings: UpscaleSettings, spec: ModelSpec) -> tuple[UpscaleSettings, float]:
    """What the dial stands for, after what is given by name; and how hard to hold the result."""
    if settings.fidelity is None:
        return settings, 0.0
    from dit4sr_cli.fidelity.dial import settings_of

    try:
        dial = settings_of(settings.fidelity, spec)
    except ValueError as error:
        raise UsageError(f"--fidelity: {error}") from error
    guidance = _or(settings.guidance, dial.guidance)
    start = _or(settings.start, dial.start)
    return replace(settings, guidance=guidance, start=start), dial.projection


def _with_smaller_tiles(sampling: Sampling, spec: ModelSpec, observe: events.Observer) -> Sampling:
    from dit4sr_cli.pipeline.restore import smaller_tiling

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


def _sampling(spec: ModelSpec, settings: UpscaleSettings, suffix: str | None) -> Sampling:
    """The settings with the model's defaults filled in."""
    from dit4sr_cli.pipeline.restore import Sampling
    from dit4sr_cli.tiles.grid import Tiling

    tile = _or(settings.tile, spec.tile)
    overlap = settings.overlap
    if overlap is None:
        overlap = spec.overlap * tile // spec.tile
    try:
        tiling = Tiling(tile, overlap, Grid.EVEN)
    except ValueError as error:
        raise UsageError(f"--tile, --overlap: {error}") from error
    sampling = Sampling(
        steps=_or(settings.steps, spec.steps),
        guidance=_or(settings.guidance, spec.guidance),
        seed=settings.seed,
        prompt=compose(settings.prompt or "", suffix) if spec.text else "",
        negative_prompt=_or(settings.negative_prompt, NEGATIVE_PROMPT) if spec.text else "",
        start=_or(settings.start, spec.start),
        color_fix=_or(settings.color_fix, spec.color_fix),
        tiling=tiling,
    )
    if sampling.steps < 1:
        raise UsageError(f"--steps: {sampling.steps} is below 1")
    if sampling.seed < 0:
        raise UsageError(f"--seed: {sampling.seed} is below 0")
    # Without text both halves of guidance are the same picture: one will do.
    return sampling if spec.text else replace(sampling, guidance=1.0)


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _size(pixels: Pixels) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _precision(dtype: str | torch.dtype | None) -> str:
    if dtype is None:
        return "auto"
    name = str(dtype).removeprefix("torch.")
    names = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
    name = names.get(name, name)
    if name not in ("auto", *names.values()):
        raise ModelError(f"{dtype}: not a precision the models run in")
    return name
