"""What will go wrong in a run, as it would say it itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from dit4sr_cli.core.errors import Dit4srError, ModelError
from dit4sr_cli.core.settings import CaptionSettings, OutputSettings, UpscaleSettings
from dit4sr_cli.core.types import CaptionChoice
from dit4sr_cli.core.words import as_size
from dit4sr_cli.jobs.estimate.records import Estimate


def said(error: Dit4srError) -> str:
    """An error as one line, with its hint."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def target_problems(target: Path, output: OutputSettings) -> tuple[str, ...]:
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


def find_captioner(caption: CaptionSettings) -> tuple[bool, tuple[str, ...]]:
    """Whether somebody is there to describe pictures, and what is wrong if not."""
    from dit4sr_cli.weights.resolve import resolve_captioner

    if caption.caption is CaptionChoice.NONE:
        return False, ()
    try:
        return resolve_captioner(caption.captioner) is not None, ()
    except ModelError as error:
        return False, (said(error),)


def has_caption(source: Path, upscale: UpscaleSettings, caption: CaptionSettings) -> bool:
    """Whether somebody has written down what a picture shows."""
    from dit4sr_cli.captions.source import written_caption

    found = written_caption(
        source, prompt=upscale.prompt, prompt_file=caption.prompt_file, prompts=caption.prompts
    )
    return found is not None


def free_at(targets: Iterable[Path]) -> int | None:
    """Bytes free where the first result goes."""
    first = next(iter(targets), None)
    try:
        return None if first is None else shutil.disk_usage(_existing(first)).free
    except OSError:
        return None


def shortages(whole: Estimate) -> tuple[str, ...]:
    """Of disk and of memory."""
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
