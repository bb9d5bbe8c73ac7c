"""Captions for pictures: written down, remembered, or asked from a captioner, loaded only once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dit4sr_cli.captions import vision
from dit4sr_cli.captions.cache import Asked, CaptionCache, fingerprint
from dit4sr_cli.captions.clean import drop_focus_sentences, focus_sentences
from dit4sr_cli.captions.source import (
    NO_CAPTION,
    SUFFIX,
    Caption,
    sidecar_of,
    write_text,
    written_caption,
)
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import (
    Dit4srError,
    InputError,
    ModelError,
    OutOfMemoryError,
    OutputError,
)
from dit4sr_cli.core.paths import cache_dir
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS, CaptionSettings
from dit4sr_cli.core.types import CaptionChoice, DeviceChoice, Precision

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from dit4sr_cli.imaging.picture import Pixels
    from dit4sr_cli.weights.resolve import Captioner

Describe: TypeAlias = "Callable[[Pixels, str], Caption]"
"""A picture's pixels, uint8 or uint16 [H, W, 1 or 3], and its name for messages."""
Find: TypeAlias = "Callable[[Path | None, Pixels], Caption]"
"""A picture's file (None: it came through a pipe) and its pixels."""


def find_caption(
    source: Path | None,
    pixels: Pixels,
    *,
    prompt: str | None = None,
    settings: CaptionSettings,
    device: DeviceChoice | str = DeviceChoice.AUTO,
    precision: Precision | str = Precision.AUTO,
    seed: int = 0,
    observe: events.Observer = events.ignore,
) -> Caption:
    """What is in one picture; see `finding`."""
    with finding(
        prompt=prompt,
        settings=settings,
        device=device,
        precision=precision,
        seed=seed,
        observe=observe,
    ) as find:
        return find(source, pixels)


@contextmanager
def finding(
    *,
    prompt: str | None = None,
    settings: CaptionSettings,
    device: DeviceChoice | str = DeviceChoice.AUTO,
    precision: Precision | str = Precision.AUTO,
    seed: int = 0,
    observe: events.Observer = events.ignore,
) -> Iterator[Find]:
    """A function that says what is in a picture, by the first who knows, or nobody.

    The user, a file, a captioner: it is loaded for the first picture that needs it, and freed in
    the end.

    Args:
        prompt: what the user says.
        settings: where else to look.
        device: where a captioner computes.
        precision: in which it computes.
        seed: of its words.
        observe: hears of phases, and of what was looked for in vain.

    Raises:
        InputError: a caption that is written down cannot be read.
        ModelError: a captioner that was named is not there, or damaged.
    """
    from dit4sr_cli.weights.resolve import resolve_captioner

    with ExitStack() as stack:
        describe: Describe | None = None

        def find(source: Path | None, pixels: Pixels) -> Caption:
            nonlocal describe
            found = written_caption(
                source,
                prompt=prompt,
                prompt_file=settings.prompt_file,
                prompts=settings.prompts,
                observe=observe,
            )
            if found is not None:
                return found
            if settings.caption is CaptionChoice.NONE:
                return NO_CAPTION
            if describe is None:
                captioner = resolve_captioner(settings.captioner)
                if captioner is None:
                    return NO_CAPTION
                describe = stack.enter_context(
                    describing(
                        captioner, device=device, precision=precision, seed=seed, observe=observe
                    )
                )
            return describe(pixels, "stdin" if source is None else str(source))

        yield find


@contextmanager
def describing(
    captioner: Captioner,
    *,
    device: DeviceChoice | str = DeviceChoice.AUTO,
    precision: Precision | str = Precision.AUTO,
    seed: int = 0,
    is_filtered: bool = True,
    cache: Path | None = None,
    observe: events.Observer = events.ignore,
) -> Iterator[Describe]:
    """A function that captions pictures; the captioner is loaded for the first that is unknown.

    Args:
        captioner: from `resolve_captioner`.
        device: where it computes.
        precision: in which it computes; `auto`: 16 bits, as captioners are published.
        seed: of its words; the same seed and picture give the same caption.
        is_filtered: leave out sentences about focus and blur, which mislead the model.
        cache: folder of what captioners have said; None: the user's.
        observe: hears of phases.

    Raises:
        ModelError: not a captioner, or damaged.
        OutOfMemoryError: it does not fit.
    """
    known = CaptionCache(cache_dir() / "captions" if cache is None else cache)
    version = captioner.revision or _version(captioner.folder)
    origin = f"captioner:{captioner.name}"
    if captioner.revision:
        origin += f"@{captioner.revision}"
    with ExitStack() as stack:
        ask: vision.Describe | None = None

        def describe(pixels: Pixels, name: str) -> Caption:
            nonlocal ask
            asked = Asked(
                picture=fingerprint(pixels),
                captioner=captioner.name,
                version=version,
                question=vision.QUESTION,
                how=f"{vision.HOW}, {Precision(precision).value}",
                seed=seed,
            )
            said = known.get(asked)
            if said is None:
                if ask is None:
                    observe(events.PhaseStarted(f"loading the captioner {captioner.name}"))
                    ask = stack.enter_context(_open(captioner, device, precision))
                observe(events.PhaseStarted("captioning"))
                with _explained(captioner):
                    said = ask(_as_image(pixels), seed)
                known.put(asked, said)
            else:
                observe(events.Noted(f"{name}: caption from before, by {captioner.name}"))
            text = drop_focus_sentences(said) if is_filtered else said
            observe(events.Noted(f"{name}: {text}"))
            return Caption(text, origin, said)

        yield describe


# ------------------------------------------------------------------ the command `caption`


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Pictures to describe, and what to do with the captions.

    Args:
        sources: files, or the bytes of one that came through a pipe.
        captioner: `auto`, a name, or a folder.
        write_sidecars: write each caption beside its picture.
        overwrite: replace sidecars that are there.
        is_filtered: leave out sentences about focus and blur.
    """

    sources: Sequence[Path | bytes]
    captioner: str = "auto"
    device: DeviceChoice = DeviceChoice.AUTO
    precision: Precision = Precision.AUTO
    seed: int = 0
    write_sidecars: bool = False
    overwrite: bool = False
    is_filtered: bool = True
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Captioned:
    """What came of one picture: a caption, a sidecar that was left alone, or an error."""

    file: str
    caption: Caption | None = None
    sidecar: Path | None = None
    is_kept: bool = False
    error: Dit4srError | None = None

    @property
    def dropped(self) -> tuple[str, ...]:
        """Sentences of the captioner that are not in the caption."""
        if self.caption is None or self.caption.text == self.caption.raw:
            return ()
        return focus_sentences(self.caption.raw)


def run(request: Request, *, observe: events.Observer = events.ignore) -> Iterator[Captioned]:
    """Describe pictures one after the other; one that cannot be read does not stop the others.

    Raises:
        ModelError: there is no captioner, or not a whole one.
    """
    from dit4sr_cli.weights.resolve import resolve_captioner

    captioner = resolve_captioner(request.captioner)
    if captioner is None:
        raise ModelError(
            "no captioner on this machine",
            hint="fetch a small one with `dit4sr models pull smolvlm`, or name a folder with "
            "--captioner",
        )
    observe(events.Noted(f"captioner {captioner.name}: {captioner.folder}"))
    names = _sidecar_names(request.sources)
    with describing(
        captioner,
        device=request.device,
        precision=request.precision,
        seed=request.seed,
        is_filtered=request.is_filtered,
        observe=observe,
    ) as describe:
        for source in request.sources:
            name = "-" if isinstance(source, bytes) else str(source)
            try:
                yield _captioned(source, name, names, request, describe)
            except (InputError, OutputError) as error:
                yield Captioned(file=name, error=error)


def _captioned(
    source: Path | bytes,
    name: str,
    names: dict[Path, Path],
    request: Request,
    describe: Describe,
) -> Captioned:
    """Check, read, describe and, if asked for, write."""
    from dit4sr_cli.imaging import reader
    from dit4sr_cli.jobs.plan import check_source

    check_source(source)
    sidecar = None
    if request.write_sidecars and isinstance(source, Path):
        there = sidecar_of(source)
        if there is not None and not request.overwrite:
            return Captioned(file=name, sidecar=there, is_kept=True)
        sidecar = there or names[source]
    label = "stdin" if isinstance(source, bytes) else name
    picture = reader.read(source, name=label, max_megapixels=request.max_megapixels)[0]
    caption = describe(picture.pixels, label)
    if sidecar is not None:
        write_text(sidecar, caption.text)
    return Captioned(file=name, caption=caption, sidecar=sidecar)


def _sidecar_names(sources: Sequence[Path | bytes]) -> dict[Path, Path]:
    """photo.txt for photo.jpg; photo.jpg.txt where photo.tif is among the pictures too."""
    paths = {source for source in sources if isinstance(source, Path)}
    short = {path: path.with_suffix(SUFFIX) for path in paths}
    counts = Counter(short.values())
    return {
        path: name if counts[name] == 1 else path.with_name(f"{path.name}{SUFFIX}")
        for path, name in short.items()
    }


@contextmanager
def _open(
    captioner: Captioner, device: DeviceChoice | str, precision: Precision | str
) -> Iterator[vision.Describe]:
    from dit4sr_cli.pipeline.device import pick_device

    place = pick_device(device)
    with ExitStack() as stack:
        with _explained(captioner):
            ask = stack.enter_context(
                vision.open_captioner(
                    captioner.folder, device=place, dtype=_dtype(precision, place)
                )
            )
        yield ask


def _dtype(precision: Precision | str, device: torch.device) -> torch.dtype:
    """Captioners are published in 16 bits: on the CPU, too, more would only take more memory."""
    import torch

    from dit4sr_cli.pipeline.device import pick_dtype

    if Precision(precision) is Precision.AUTO and device.type == "cpu":
        return torch.bfloat16
    return pick_dtype(precision, device)


@contextmanager
def _explained(captioner: Captioner) -> Iterator[None]:
    """Memory that is short, in words that help here."""
    from dit4sr_cli.pipeline.memory import is_out_of_memory

    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"not enough memory for the captioner {captioner.name}",
            hint="use a smaller one (--captioner smolvlm), or describe the picture with --prompt",
        ) from error


def _version(folder: Path) -> str:
    """What tells the weights in a folder from others, where no revision is known."""
    stats = ((path.name, path.stat()) for path in sorted(folder.glob("*.safetensors")))
    files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return f"{folder.resolve()} {files}"


def _as_image(pixels: Pixels) -> Image:
    """The picture for Pillow: 8 bits a channel, grey or RGB."""
    import numpy as np
    from PIL import Image

    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
