"""Foretells a run over many pictures from headers alone: no pixel is decoded, no model loaded.

Seconds are those of earlier runs on this machine, by model, device, precision and threads, divided
by the latent cells that went through the transformer; before the first run they are a guess.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dit4sr_cli.core.errors import Dit4srError, InputError, ModelError
from dit4sr_cli.core.paths import cache_dir
from dit4sr_cli.core.settings import (
    MAX_SCALE,
    MIN_SCALE,
    CaptionSettings,
    ModelSettings,
    OutputSettings,
    UpscaleSettings,
)
from dit4sr_cli.core.sizes import MULTIPLE, working_size
from dit4sr_cli.core.types import CaptionChoice, DeviceChoice, Precision, Size
from dit4sr_cli.imaging import formats
from dit4sr_cli.tiles.grid import Tiling, cover

if TYPE_CHECKING:
    from dit4sr_cli.jobs.record import Record
    from dit4sr_cli.weights.spec import ModelSpec

BASE_MEMORY = 360e6
"""Bytes of the process before a picture: Python, torch, nano. Measured, see BYTES_A_PIXEL."""
BYTES_A_PIXEL = 84
"""Peak of host memory for a pixel of the result, above BASE_MEMORY: nano, 8 bits, from 1 to 9
megapixels (float pictures before and after, latents, noise, and the encoder's copy)."""
STRIPS_FROM = 60_000_000
"""Pixels of a PNG or TIFF result from which on it is made by strips (jobs/large.py)."""
BYTES_ON_DISK = {"png": 1.7, "tiff": 1.9, "jpeg": 0.55, "webp": 0.4, "avif": 0.3}
"""For a pixel of an 8-bit colour photograph at the default quality; a guess, grain costs more."""
_SIXTEEN_BIT_FACTOR, _GREY_FACTOR = 2.6, 0.4
GUESSED_SECONDS = {("nano", "cpu"): 3e-4, ("nano", "cuda"): 2e-6}
"""For a cell through the transformer once, before anything was measured."""
GUESSED_PUBLISHED_SECONDS = {"cpu": 1.5e-2, "mps": 1e-3, "cuda": 8e-5}
_SPEEDS = "speeds.json"
_KEEP = 0.7  # of what earlier runs weigh, at each new one


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEstimate:
    """One picture: `seconds`, `memory` and `disk` (bytes) are 0 if it will not be made.

    Args:
        pages: of the input; sizes are the first one's, (width, height), upright.
        tiles: of all pages.
        cells: that go through the transformer, in all its steps.
        is_skipped: its result exists, and --skip-existing says to leave it.
        problems: what will go wrong, a line each.
    """

    source: Path
    target: Path
    pages: int = 0
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    tiles: int = 0
    cells: int = 0
    seconds: float = 0.0
    memory: int = 0
    disk: int = 0
    is_skipped: bool = False
    problems: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "input": str(self.source),
            "output": str(self.target),
            "pages": self.pages,
            "input_size": self.input_size and list(self.input_size),
            "output_size": self.output_size and list(self.output_size),
            "tiles": self.tiles,
            "seconds": round(self.seconds, 1),
            "memory_bytes": self.memory,
            "disk_bytes": self.disk,
            "skipped": self.is_skipped,
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """All pictures, and what is wrong with the run as a whole; `is_measured`: its seconds are."""

    files: tuple[FileEstimate, ...]
    model: str
    is_measured: bool
    free: int | None
    problems: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all, one after the other."""
        return sum(file.seconds for file in self.files)

    @property
    def disk(self) -> int:
        """Bytes of all results."""
        return sum(file.disk for file in self.files)

    @property
    def memory(self) -> int:
        """The highest peak: pictures are sampled one after the other."""
        return max((file.memory for file in self.files), default=0)

    @property
    def tiles(self) -> int:
        """Of all."""
        return sum(file.tiles for file in self.files)

    @property
    def num_bad(self) -> int:
        """Pictures that will fail."""
        return sum(bool(file.problems) for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "model": self.model,
            "files": [file.as_json() for file in self.files],
            "total": {
                "files": len(self.files),
                "skipped": sum(file.is_skipped for file in self.files),
                "with_problems": self.num_bad,
                "tiles": self.tiles,
                "seconds": round(self.seconds, 1),
                "memory_bytes": self.memory,
                "disk_bytes": self.disk,
            },
            "seconds_are": "measured" if self.is_measured else "a guess",
            "free_bytes": self.free,
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a file says; `size` is upright."""

    size: Size
    pages: int = 1
    pixels: int = 0
    bits: int = 8
    channels: int = 3


def estimate(
    targets: Mapping[Path, Path],
    *,
    upscale: UpscaleSettings,
    caption: CaptionSettings,
    model: ModelSettings,
    output: OutputSettings,
    skip_existing: bool = False,
) -> Estimate:
    """What a run would take, and what would go wrong.

    Args:
        targets: from `naming.targets`.
        upscale: as the run gets it, and what follows, too.
        caption: where prompts come from, to see which are missing.
        model: which; if it is not here, that is a problem of the whole.
        output: format, and what may be overwritten.
        skip_existing: leave out pictures whose result is there.
    """
    spec, problems = _spec(model, upscale)
    speed, is_measured = _speed(spec, model)
    has_captioner = _has_captioner(caption, problems) if spec.text else True
    files = []
    for source, target in targets.items():
        if skip_existing and target.exists():
            files.append(FileEstimate(source=source, target=target, is_skipped=True))
            continue
        try:
            file = _file(source, target, spec, upscale, output, speed)
            found = _target_problem(target, output)
            if not has_captioner and not _has_caption(source, upscale, caption):
                found += ("no prompt, and nobody to describe it",)
        except Dit4srError as error:
            files.append(FileEstimate(source=source, target=target, problems=(_line(error),)))
        else:
            files.append(replace(file, problems=found))
    whole = Estimate(
        files=tuple(files),
        model=spec.name,
        is_measured=is_measured,
        free=_free(targets.values()),
    )
    return replace(whole, problems=(*problems, *_shortages(whole)))


def learn(record: Record, *, seconds: float | None = None, threads: int | None = None) -> None:
    """Remember how fast a picture was made; what cannot be written down is left.

    Args:
        record: of the finished picture.
        seconds: wall time that it took, if others overlapped with it; None: the record's.
        threads: of torch on the CPU; None: as the environment says.
    """
    width, height = record.output_size
    tiling = Tiling(record.tile, record.overlap)
    boxes = cover(max(1, width // MULTIPLE), max(1, height // MULTIPLE), tiling)
    a_tile = sum(box.width * box.height for box in boxes) / len(boxes)
    passes = record.steps * (2 if record.guidance > 1 else 1)
    cells = a_tile * record.tiles * passes
    taken = record.seconds if seconds is None else seconds
    if cells <= 0 or taken <= 0:
        return
    key = "|".join((record.model, record.device, record.dtype, str(threads or _threads())))
    known = _speeds()
    before = known.pop(key, {"cells": 0.0, "seconds": 0.0})
    known[key] = {  # last in the file: the latest
        "cells": _KEEP * before["cells"] + cells,
        "seconds": _KEEP * before["seconds"] + taken,
    }
    path = cache_dir() / _SPEEDS
    temporary = path.with_name(f".{_SPEEDS}-{secrets.token_hex(4)}.part")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def read_header(path: Path, *, max_megapixels: float) -> Header:
    """Size, pages and depth of a picture; of its pixels nothing is read.

    Raises:
        InputError: it cannot be read, as the reader would say it, or it is too large.
    """
    from dit4sr_cli.imaging import reader, vips

    data = reader._contents(path, str(path))
    kind = reader._kind(data, path, str(path))
    try:
        header = _header(kind, data)
    except (vips.Error, OSError, ValueError, SyntaxError) as error:
        raise reader._undecodable(kind, str(path), error) from error
    if header.pixels > max_megapixels * 1e6:
        raise InputError(
            f"{path}: {header.pixels / 1e6:.0f} megapixels, more than the limit of "
            f"{max_megapixels:g}",
            hint="raise --max-megapixels if you trust the file",
        )
    return header


# ---------------------------------------------------------------- one picture


def _header(kind: str, data: memoryview) -> Header:
    from dit4sr_cli.imaging import decoders, vips
    from dit4sr_cli.imaging.ifd import Block

    if kind not in decoders._VIPS_LOADERS:
        return _announced(kind, data)
    pages = 1
    if kind == "tiff":
        block = Block.open(data)
        hidden = decoders._REDUCED | decoders._MASK
        chain = enumerate(block.chain())
        kept = [n for n, page in chain if not block.layout.number(page.get(0x00FE)) & hidden] or [0]
        images = [vips.load("tiff", data, page=number, unlimited=True) for number in kept]
        pages = len(images)
    else:
        images = [decoders._open(kind, data)]
    first = images[0]
    turned = first.get_typeof("orientation") and first.get("orientation") in (5, 6, 7, 8)
    size = Size(first.height, first.width) if turned else Size(first.width, first.height)
    return Header(
        size=size,
        pages=pages,
        pixels=sum(image.width * image.height for image in images),
        bits=8 if first.format == "uchar" else 16,
        channels=1 if first.bands < 3 else 3,
    )


class _Told(Exception):
    """Ends a decoder that has told a size."""


def _announced(kind: str, data: memoryview) -> Header:
    """The formats that Pillow reads: it tells the size, and is stopped there."""
    from dit4sr_cli.imaging import decoders

    sizes = []

    def admit(width: int, height: int) -> None:
        sizes.append(Size(width, height))
        raise _Told

    with contextlib.suppress(_Told):
        decoders.decode(kind, data, admit)
    return Header(sizes[0], pixels=sizes[0].pixels)


def _file(
    source: Path,
    target: Path,
    spec: ModelSpec,
    upscale: UpscaleSettings,
    output: OutputSettings,
    speed: float,
) -> FileEstimate:
    from dit4sr_cli.jobs.plan import check_source

    check_source(source)
    header = read_header(source, max_megapixels=output.max_megapixels)
    factor = _factor(header.size, upscale)
    width, height = (max(1, round(s * factor)) for s in (header.size.width, header.size.height))
    format = formats.format_of(target, output.format, "png")
    formats.check_size(format, width, height)
    pages = header.pages if formats.can_hold_pages(format) else 1
    boxes = _tiles(header.size, factor, spec, upscale)
    steps = upscale.steps or spec.steps
    guidance = spec.guidance if upscale.guidance is None else upscale.guidance
    passes = steps * (2 if spec.text and guidance > 1 else 1)
    cells = pages * passes * sum(box.width * box.height for box in boxes)
    return FileEstimate(
        source=source,
        target=target,
        pages=header.pages,
        input_size=(header.size.width, header.size.height),
        output_size=(width, height),
        tiles=pages * len(boxes),
        cells=cells,
        seconds=cells * speed,
        memory=_memory(width * height, format, pages, header),
        disk=_disk(width * height * pages, format, header),
    )


def _factor(size: Size, upscale: UpscaleSettings) -> float:
    if upscale.long_edge is None:
        return upscale.scale
    factor = upscale.long_edge / max(size.width, size.height)
    if not MIN_SCALE <= factor <= MAX_SCALE:
        raise InputError(
            f"--long-edge {upscale.long_edge} is {factor:.3g} times {size}, and must be "
            f"{MIN_SCALE:g} to {MAX_SCALE:g} times"
        )
    return factor


def _tiles(size: Size, factor: float, spec: ModelSpec, upscale: UpscaleSettings) -> list[Any]:
    """As the upscaler lays them: at the model's own scale, padded to whole cells."""
    if spec.native_scale:
        work = (size.width * spec.native_scale, size.height * spec.native_scale)
    else:
        work = working_size((size.width, size.height), factor, spec.process_size)
    columns, rows = (max(spec.min_cells, -(-side // MULTIPLE)) for side in work)
    tile = upscale.tile or spec.tile
    overlap = upscale.overlap
    if overlap is None:
        overlap = spec.overlap * tile // spec.tile
    return cover(columns, rows, Tiling(tile, overlap))


def _memory(pixels: int, format: str, pages: int, header: Header) -> int:
    """BASE + BYTES_A_PIXEL x pixels, for a page; finished pages wait for the last one."""
    held = min(pixels, STRIPS_FROM) if format in ("png", "tiff") and pages == 1 else pixels
    finished = (pages - 1) * pixels * header.channels * header.bits // 8
    return int(BASE_MEMORY + BYTES_A_PIXEL * held + finished)


def _disk(pixels: int, format: str, header: Header) -> int:
    size = pixels * BYTES_ON_DISK[format]
    if header.bits > 8 and formats.can_hold_16_bit(format):
        size *= _SIXTEEN_BIT_FACTOR
    return int(size * (_GREY_FACTOR if header.channels == 1 else 1))


def _target_problem(target: Path, output: OutputSettings) -> tuple[str, ...]:
    """As the writer would say it; folders that are missing will be made."""
    try:
        if target.is_dir():
            return (f"{target}: is a folder",)
        if target.exists() and not output.overwrite:
            return (f"{target}: exists already",)
    except OSError as error:  # a name too long, a loop of links
        return (f"{target}: {error.strerror}",)
    folder = _existing(target)
    if not folder.is_dir():
        return (f"{folder}: is a file, not a folder",)
    if not os.access(folder, os.W_OK | os.X_OK):
        return (f"{target}: no permission to write in {folder}",)
    return ()


def _existing(target: Path) -> Path:
    """The deepest folder on the way to a target that is there."""
    return next((folder for folder in target.parents if folder.exists()), Path())


def _line(error: Dit4srError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


# ---------------------------------------------------------------- the whole run


def _spec(model: ModelSettings, upscale: UpscaleSettings) -> tuple[ModelSpec, list[str]]:
    """The model's, or, if it is not here, what is known of it and the problem."""
    from dit4sr_cli.weights.catalog import MODELS
    from dit4sr_cli.weights.resolve import catalog_spec, resolve
    from dit4sr_cli.weights.spec import ModelSpec

    try:
        return resolve(model.model).spec, []
    except ModelError as error:
        name = model.model
        spec = catalog_spec(name) if name in MODELS else ModelSpec(name=name)
        return spec, [_line(error)]


def _speed(spec: ModelSpec, model: ModelSettings) -> tuple[float, bool]:
    """Seconds for a cell, and whether they were measured here; the latest that fits is taken."""
    wanted = {Precision.FP32: "float32", Precision.FP16: "float16", Precision.BF16: "bfloat16"}
    dtype = wanted.get(model.precision)
    fitting = []
    for key, value in _speeds().items():
        name, device, kind, threads = key.split("|")
        is_same = name == spec.name and dtype in (None, kind)
        if is_same and model.device.value in ("auto", device.split(":")[0]):
            is_on_cpu = device == "cpu" and threads != str(_threads())
            fitting.append((not is_on_cpu, value["seconds"] / value["cells"]))
    if fitting:
        exact = [speed for has_same_threads, speed in fitting if has_same_threads]
        return (exact or [speed for _, speed in fitting])[-1], bool(exact)
    place = model.device.value
    if model.device is DeviceChoice.AUTO:
        place = "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    guess = GUESSED_PUBLISHED_SECONDS.get(place, GUESSED_PUBLISHED_SECONDS["cpu"])
    if spec.codec == "block":
        guess = GUESSED_SECONDS.get(("nano", place), GUESSED_SECONDS["nano", "cpu"])
    return guess, False


def _speeds() -> dict[str, dict[str, float]]:
    """What was remembered; a damaged file is as good as none."""
    try:
        known = json.loads((cache_dir() / _SPEEDS).read_text(encoding="utf-8"))
        return {
            str(key): {"cells": float(value["cells"]), "seconds": float(value["seconds"])}
            for key, value in known.items()
            if key.count("|") == 3 and value["cells"] > 0
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


def _threads() -> int:
    """Of torch on the CPU, without asking torch."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else os.cpu_count() or 1


def _has_captioner(caption: CaptionSettings, problems: list[str]) -> bool:
    from dit4sr_cli.weights.resolve import resolve_captioner

    if caption.caption is CaptionChoice.NONE:
        return False
    try:
        return resolve_captioner(caption.captioner) is not None
    except ModelError as error:
        problems.append(_line(error))
        return False


def _has_caption(source: Path, upscale: UpscaleSettings, caption: CaptionSettings) -> bool:
    from dit4sr_cli.captions.source import written_caption

    found = written_caption(
        source, prompt=upscale.prompt, prompt_file=caption.prompt_file, prompts=caption.prompts
    )
    return found is not None


def _free(targets: Any) -> int | None:
    """Bytes free where the first result goes."""
    first = next(iter(targets), None)
    try:
        return None if first is None else shutil.disk_usage(_existing(first)).free
    except OSError:
        return None


def _shortages(whole: Estimate) -> tuple[str, ...]:
    from dit4sr_cli.core.words import as_size

    found: tuple[str, ...] = ()
    if whole.free is not None and whole.disk > whole.free:
        found += (f"the results take about {as_size(whole.disk)}, {as_size(whole.free)} are free",)
    installed = _installed_memory()
    if installed and whole.memory > installed:
        text = f"a picture takes about {as_size(whole.memory)} of memory, here are"
        found += (f"{text} {as_size(installed)}",)
    return found


def _installed_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
