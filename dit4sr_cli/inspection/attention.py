"""Joint attention of a model on a photograph, at one step of the sampler and in one tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.types import Box, Size
from dit4sr_cli.imaging import reader
from dit4sr_cli.imaging.picture import Pixels
from dit4sr_cli.jobs import whole
from dit4sr_cli.jobs.sampling import model_size, output_size, sampling_of
from dit4sr_cli.jobs.upscale import load_upscaler
from dit4sr_cli.model.attention_map import BlockAttention, attention_maps, even_shares
from dit4sr_cli.model.flow import TRAIN_TIMESTEPS, sigmas, start_latents
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline import latents
from dit4sr_cli.pipeline.noise import position_noise
from dit4sr_cli.pipeline.predictor import Predictor
from dit4sr_cli.pipeline.restore import codec_window, encode_text
from dit4sr_cli.pipeline.solver import Stepper
from dit4sr_cli.tiles.blend import cut
from dit4sr_cli.tiles.grid import cover

if TYPE_CHECKING:
    from dit4sr_cli.pipeline.components import Components
    from dit4sr_cli.pipeline.conditioning import Conditioning
    from dit4sr_cli.pipeline.restore import Sampling

Point = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen.

    Args:
        photo: name of the file.
        size: of the photograph.
        model: its name.
        step, steps: at which of how many.
        sigma: noise level there.
        tile: what of the photograph was looked at, in its pixels.
        tiles: how many it is cut into.
        grid: tokens of the tile, rows and columns.
        text_tokens: how many there are; without text encoders they are learned, not read.
        reads_text: whether they stand for a prompt.
        is_joint: False: L attends to itself alone (ablation A).
        points: x and y in the photograph whose attention was mapped.
        cells: rows and columns of their tokens.
        picture: the tile as the model is given it, [H, W, 3] uint8.
        blocks: the attentions in the order in which they run.
    """

    photo: str
    size: Size
    model: str
    step: int
    steps: int
    sigma: float
    tile: Box
    tiles: int
    grid: tuple[int, int]
    text_tokens: int
    reads_text: bool
    is_joint: bool
    points: tuple[Point, ...]
    cells: tuple[Point, ...]
    picture: Pixels
    blocks: tuple[BlockAttention, ...]

    @property
    def even(self) -> tuple[float, float, float]:
        """Shares of X, L and text if all tokens were looked at alike."""
        return even_shares(self.grid[0] * self.grid[1], self.text_tokens)


def look(
    photo: Path,
    model: ModelSettings | None = None,
    *,
    at: Sequence[Point] = (),
    step: int = 1,
    blocks: Sequence[int] | None = None,
    settings: UpscaleSettings | None = None,
    observe: events.Observer = events.ignore,
) -> Look:
    """Sample a tile of a photograph up to a step, and look at the attention there.

    Args:
        photo: is enlarged as `upscale` does it.
        model: None: the default one.
        at: x and y in pixels of the photograph; none: its middle. All lie in one tile.
        step: from 1; those before are taken on the tile alone, with guidance.
        blocks: numbers from 0; None: all.
        settings: steps, seed, prompt and so on; None: the model's.
        observe: hears of phases and warnings.

    Raises:
        InputError: the photograph cannot be read.
        ModelError: the model cannot be used.
        UsageError: there is no such point, step or block.
    """
    picture = reader.read(photo, name=str(photo))[0]
    size = Size(picture.width, picture.height)
    points = tuple(at) or ((size.width // 2, size.height // 2),)
    for x, y in points:
        if not (0 <= x < size.width and 0 <= y < size.height):
            raise UsageError(f"--at {x},{y}: outside of {photo}, which has {size} pixels")
    upscaler = load_upscaler(model or ModelSettings(), observe, plain=True)
    components, spec = upscaler.components, upscaler.spec
    settings = settings or UpscaleSettings()
    sampling = sampling_of(settings, spec, [settings.prompt or ""], None)
    _check(step, sampling.steps, blocks, components.config.num_layers)
    work = model_size(size, output_size(size, settings)[0], spec)
    image = whole.enlarged(picture.pixels, work, spec.min_cells)
    boxes = cover(image.shape[2] // MULTIPLE, image.shape[1] // MULTIPLE, sampling.tiling)
    scale = (work.width / size.width, work.height / size.height)
    box, tokens = _placed(points, scale, boxes, components.config.patch_size)
    patch = components.config.patch_size
    grid = box.height // patch, box.width // patch
    found, text_tokens, sigma = _attention(
        components, image, box, sampling, step, [row * grid[1] + column for row, column in tokens],
        blocks, observe,
    )  # fmt: skip
    return Look(
        photo=photo.name,
        size=size,
        model=upscaler.name,
        step=step,
        steps=sampling.steps,
        sigma=sigma,
        tile=_in_photo(box, scale, size),
        tiles=len(boxes),
        grid=grid,
        text_tokens=text_tokens,
        reads_text=spec.text,
        is_joint=components.config.control_attention == "joint",
        points=points,
        cells=tokens,
        picture=_shown(image, box),
        blocks=tuple(found),
    )


def as_json(seen: Look) -> dict[str, Any]:
    """Shares of every attention, and for each point where in the tile it looks most."""
    return {
        "photo": seen.photo,
        "size": [seen.size.width, seen.size.height],
        "model": seen.model,
        "step": seen.step,
        "steps": seen.steps,
        "sigma": seen.sigma,
        "tile": [seen.tile.x, seen.tile.y, seen.tile.width, seen.tile.height],
        "tiles": seen.tiles,
        "grid": list(seen.grid),
        "text_tokens": seen.text_tokens,
        "text_is_read": seen.reads_text,
        "joint": seen.is_joint,
        "even": dict(zip(("X", "L", "text"), seen.even, strict=True)),
        "points": [list(point) for point in seen.points],
        "blocks": [_block_json(seen, block) for block in seen.blocks],
    }


def _block_json(seen: Look, block: BlockAttention) -> dict[str, Any]:
    names = ("X", "L", "text") if block.name == "attn" else ("X", "L")
    shares = {
        asking: {name: float(block.shares[row, column]) for column, name in enumerate(names)}
        for row, asking in enumerate(names)
    }
    peaks = [
        {
            f"{asking} to {name}": _place(seen, int(maps[row, column].argmax()))
            for row, asking in enumerate(("X", "L"))
            for column, name in enumerate(("X", "L"))
            if float(maps[row, column].max()) > 0
        }
        for maps in block.maps
    ]
    return {"block": block.block, "attention": block.name, "shares": shares, "peaks": peaks}


def _place(seen: Look, token: int) -> list[int]:
    """The middle of a token, in pixels of the photograph."""
    rows, columns = seen.grid
    row, column = divmod(token, columns)
    x = seen.tile.x + (column + 0.5) * seen.tile.width / columns
    return [int(x), int(seen.tile.y + (row + 0.5) * seen.tile.height / rows)]


def _check(step: int, steps: int, blocks: Sequence[int] | None, count: int) -> None:
    if not 1 <= step <= steps:
        raise UsageError(f"--step {step}: the run has steps 1 to {steps}")
    for block in blocks or ():
        if not 0 <= block < count:
            raise UsageError(f"--blocks {block}: the model has blocks 0 to {count - 1}")


def _placed(
    points: Sequence[Point], scale: tuple[float, float], boxes: Sequence[Box], patch: int
) -> tuple[Box, tuple[Point, ...]]:
    """The tile in whose middle the first point lies most, and row and column of all points."""
    cells = [(y * scale[1] / MULTIPLE, x * scale[0] / MULTIPLE) for x, y in points]
    row, column = cells[0]

    def off(box: Box) -> float:
        return max(
            abs(row - box.y - box.height / 2) / box.height,
            abs(column - box.x - box.width / 2) / box.width,
        )

    box = min(boxes, key=off)
    rows, columns = box.height // patch, box.width // patch
    tokens = []
    for (x, y), (row, column) in zip(points, cells, strict=True):
        token = int((row - box.y) // patch), int((column - box.x) // patch)
        if not (0 <= token[0] < rows and 0 <= token[1] < columns):
            raise UsageError(
                f"--at {x},{y}: not in the tile of {points[0][0]},{points[0][1]}",
                hint="points of one picture lie in one tile; look at them one by one",
            )
        tokens.append(token)
    return box, tuple(tokens)


@torch.inference_mode()
def _attention(
    components: Components,
    image: torch.Tensor,
    box: Box,
    sampling: Sampling,
    step: int,
    points: Sequence[int],
    blocks: Sequence[int] | None,
    observe: events.Observer,
) -> tuple[list[BlockAttention], int, float]:
    """The attentions, how many text tokens there are, and the noise level."""
    device = components.device
    positive, negative = encode_text(components, sampling, observe)
    observe(events.PhaseStarted("encoding"))
    with components.codec.in_use() as codec:
        lr = latents.encode(codec, image * 2 - 1, device=device, window=codec_window(components))
    noise = position_noise(sampling.seed, lr.shape[1], Box(0, 0, lr.shape[3], lr.shape[2]))
    lr, noise = (cut(x, box).contiguous() for x in (lr.float(), noise.to(lr)))
    levels = sigmas(sampling.steps, sampling.shift).tolist()
    noisy = start_latents(lr, noise, levels[0], sampling.start.value)
    observe(events.PhaseStarted("loading the transformer"))
    with components.transformer.in_use() as network:
        assert isinstance(network, MMDiTControl)
        if step > 1:
            observe(events.PhaseStarted("sampling", total=step - 1))
            texts = positive, negative
            noisy = _sampled(network, noisy, lr, levels, texts, sampling, step, observe)
        observe(events.PhaseStarted("looking"))
        text = positive.to(device)
        found = attention_maps(
            network,
            noisy,
            lr,
            torch.tensor([levels[step - 1] * TRAIN_TIMESTEPS], device=device),
            text.prompt_embeds,
            text.pooled_prompt_embeds,
            points=points,
            blocks=blocks,
        )
    return found, text.prompt_embeds.shape[1], levels[step - 1]


def _sampled(
    network: MMDiTControl,
    noisy: torch.Tensor,
    lr: torch.Tensor,
    levels: Sequence[float],
    texts: tuple[Conditioning, Conditioning | None],
    sampling: Sampling,
    step: int,
    observe: events.Observer,
) -> torch.Tensor:
    """The tile's latents when a step begins."""
    tile = Box(0, 0, lr.shape[3], lr.shape[2])
    positive, negative = texts
    predict = Predictor(
        network,
        tile,
        levels=levels[:-1],
        positive=positive,
        negative=negative,
        guidance=sampling.guidance,
        device=lr.device,
    )
    stepper = Stepper(sampling.shortcuts.solver, levels, lambda: torch.zeros_like(noisy))
    for number in range(step - 1):
        velocity = predict([tile], latents=noisy, lr_latents=lr, step=number)
        noisy = stepper.advance(noisy, velocity, number)
        observe(events.Advanced(number + 1))
    return noisy


def _in_photo(box: Box, scale: tuple[float, float], size: Size) -> Box:
    left, top = round(box.x * MULTIPLE / scale[0]), round(box.y * MULTIPLE / scale[1])
    width, height = (
        round(cells * MULTIPLE / factor)
        for cells, factor in zip((box.width, box.height), scale, strict=True)
    )
    return Box(left, top, min(width, size.width - left), min(height, size.height - top))


def _shown(image: torch.Tensor, box: Box) -> Pixels:
    x, y, width, height = (side * MULTIPLE for side in (box.x, box.y, box.width, box.height))
    part = image[:, y : y + height, x : x + width].permute(1, 2, 0)
    return np.ascontiguousarray((part * 255).round().clamp(0, 255).to(torch.uint8).numpy())
